//! One generation: prompts drawn, completed, rewarded and compared within their groups; groups without variance drawn again.

use anyhow::{Result, ensure};
use burn::module::Module;
use namelens_engine::generate::{Completion, Photos, RolloutOptions, RolloutPrompt, rollout};
use namelens_engine::host::Host;
use namelens_engine::model::vlm::Vlm;

use super::advantage::{self, advantages, groups_without_variance};
use super::buffer::{Generation, Rolled, by_row, scores};
use super::completion::CompletionMask;
use super::config::GrpoConfig;
use super::dataset::Prompts;
use super::metrics::{Figure, Metrics};
use super::policy::{Kit, Policy, Prepared};
use crate::ranks::{Alone, Ranks, share};
use crate::rewards::{Reward, Row, score_all};

/// Rows that are drawn side by side.
pub(super) const ROWS: usize = 64;

/// Prompts of one generation, and how many samples each has: fewer where every row of a group is another prompt.
pub fn shape(config: &GrpoConfig) -> (usize, usize) {
    let rows = config.per_device_train_batch_size * config.generation_steps();
    match config.groups_share_prompt {
        true => (rows / config.num_generations.max(1), config.num_generations),
        false => (rows, 1),
    }
}

/// How completions are drawn.
pub fn sampling(kit: &Kit, config: &GrpoConfig, generation: u64) -> RolloutOptions {
    RolloutOptions {
        temperature: config.temperature as f32,
        top_k: config.top_k,
        top_p: config.top_p as f32,
        min_p: config.min_p.unwrap_or(0.0) as f32,
        seed: config.seed,
        step: generation,
        ..greedy(kit, config.max_completion_length)
    }
}

/// The likeliest token, again and again.
pub fn greedy(kit: &Kit, max_tokens: usize) -> RolloutOptions {
    RolloutOptions {
        temperature: 1.0,
        top_k: 1,
        top_p: 1.0,
        min_p: 0.0,
        max_tokens,
        ends: kit.chat.ends().to_vec(),
        banned: kit.banned.clone(),
        context: kit.config.text_config.context(),
        image_token: kit.config.image_token_id,
        rows: ROWS,
        seed: 0,
        step: 0,
    }
}

/// Completions of prepared prompts, `samples` each, in order; the first has number `first`.
///
/// # Errors
/// When a prompt and its longest completion do not fit the model, or its logits are no numbers.
pub fn complete(
    vlm: &Vlm,
    prompts: &[Prepared],
    samples: usize,
    first: u64,
    options: &RolloutOptions,
    host: &dyn Host,
) -> Result<Vec<Vec<Completion>>> {
    let asked: Vec<RolloutPrompt<'_>> = prompts
        .iter()
        .enumerate()
        .map(|(at, prepared)| RolloutPrompt {
            ids: &prepared.ids,
            photos: prepared.visual.as_ref().map(|visual| Photos {
                visual,
                grids: &prepared.grids,
            }),
            first_sample: first + (at * samples) as u64,
        })
        .collect();
    Ok(pollster::block_on(rollout(
        vlm, &asked, samples, options, host,
    ))?)
}

/// Which generation is drawn, and with whom.
#[derive(Clone, Copy)]
pub struct Draw<'a> {
    /// Its number.
    pub number: u64,
    /// The processes that draw it together.
    pub ranks: &'a dyn Ranks,
    /// Who is asked between tokens whether to go on.
    pub host: &'a dyn Host,
}

impl std::fmt::Debug for Draw<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Draw({} of {:?})", self.number, self.ranks)
    }
}

/// Draws generation number `number`; `cursor` is the number of the next prompt and moves on.
///
/// # Errors
/// When a prompt, a completion or a reward fails.
pub fn generate(
    policy: &Policy,
    prompts: &Prompts,
    rewards: &mut [Box<dyn Reward>],
    config: &GrpoConfig,
    number: u64,
    cursor: &mut u64,
    host: &dyn Host,
) -> Result<Generation> {
    let ranks = &Alone;
    let draw = Draw {
        number,
        ranks,
        host,
    };
    generate_among(policy, prompts, rewards, config, draw, cursor)
}

/// Draws this rank's part of a generation. Prompts and samples are numbered over all ranks, so that what is drawn does not
/// depend on how many there are; advantages and figures are those of the whole.
///
/// # Errors
/// As [`generate`], and when another rank is gone.
pub fn generate_among(
    policy: &Policy,
    prompts: &Prompts,
    rewards: &mut [Box<dyn Reward>],
    config: &GrpoConfig,
    draw: Draw<'_>,
    cursor: &mut u64,
) -> Result<Generation> {
    let (kit, ranks) = (&policy.kit, draw.ranks);
    let sampler = sampler(policy, config, draw.number);
    let options = sampling(kit, config, draw.number);
    let (wanted, samples) = shape(config);
    let mut found = Generation {
        prompts: Vec::with_capacity(wanted),
        rows: Vec::new(),
        metrics: Metrics::default(),
    };
    let (mut tries, mut drawn, mut dead) = (0, 0, 0);
    loop {
        // All go on until the last has what it wants: the others then draw nothing.
        let missing = share(ranks, &(wanted - found.prompts.len()))?;
        let total: usize = missing.iter().sum();
        if total == 0 {
            break;
        }
        let before: usize = missing[..ranks.rank()].iter().sum();
        let mut fresh = Vec::with_capacity(missing[ranks.rank()]);
        for at in 0..missing[ranks.rank()] {
            let serial = *cursor + (before + at) as u64;
            fresh.push(kit.prepare(&sampler, prompts.get(serial)?)?);
        }
        *cursor += total as u64;
        if !fresh.is_empty() {
            let first = drawn + (before * samples) as u64;
            let said = complete(&sampler, &fresh, samples, first, &options, draw.host)?;
            let (rows, metrics) = rewarded(kit, &fresh, said, rewards, config)?;
            found.metrics.merge(metrics);
            let again = tries < config.dynamic_sampling_max_tries;
            dead += keep(&mut found, rows, &fresh, again, config);
        }
        drawn += (total * samples) as u64;
        tries += 1;
    }
    if config.dynamic_sampling_max_tries > 0 {
        let redrawn = Figure::Sum(dead as f64);
        found
            .metrics
            .add("dynamic_sampling/redrawn_groups", redrawn);
        let tries = Figure::Max((tries - 1) as f64);
        found.metrics.add("dynamic_sampling/tries", tries);
    }
    compare(kit, &mut found, rewards, config, ranks)?;
    reference(policy, &mut found, config)?;
    Ok(found)
}

/// The model that draws: without gradients, and with dropout only where that is asked for.
fn sampler(policy: &Policy, config: &GrpoConfig, number: u64) -> Vlm {
    let mut sampler = policy.vlm.clone();
    if config.rollout_dropout && !config.disable_dropout {
        sampler.set_dropout(Some(config.seed ^ number.rotate_left(32)));
    }
    sampler.valid()
}

/// Takes the groups of `rows` into the generation, `prompts` being theirs; those without variance only where nothing is drawn
/// `again`. Returns how many were left out.
fn keep(
    found: &mut Generation,
    rows: Vec<Rolled>,
    prompts: &[Prepared],
    again: bool,
    config: &GrpoConfig,
) -> usize {
    let group = config.num_generations;
    // Prompts that make a group together.
    let together = (group / shape(config).1.max(1)).max(1);
    let none = match again {
        true => groups_without_variance(&table(&rows), judged(config), group),
        false => Vec::new(),
    };
    for (at, (own, prompts)) in rows.chunks(group).zip(prompts.chunks(together)).enumerate() {
        if none.contains(&at) {
            continue;
        }
        let before = found.prompts.len();
        let first = own[0].prompt;
        found.prompts.extend_from_slice(prompts);
        found.rows.extend(own.iter().cloned().map(|row| Rolled {
            prompt: before + row.prompt - first,
            ..row
        }));
    }
    none.len()
}

/// Which reward decides whether a group is drawn again.
fn judged(config: &GrpoConfig) -> usize {
    let name = config.dynamic_sampling_reward.as_ref();
    let at = name.and_then(|name| config.reward_funcs.iter().position(|known| known == name));
    at.unwrap_or(0)
}

fn table(rows: &[Rolled]) -> Vec<Vec<Option<f64>>> {
    let of = |row: &Rolled| row.rewards.iter().map(|r| r.map(f64::from)).collect();
    rows.iter().map(of).collect()
}

/// The rows of completions with their rewards.
pub(super) fn rewarded(
    kit: &Kit,
    prompts: &[Prepared],
    said: Vec<Vec<Completion>>,
    rewards: &mut [Box<dyn Reward>],
    config: &GrpoConfig,
) -> Result<(Vec<Rolled>, Metrics)> {
    let mut rows = Vec::new();
    let mut asked: Vec<Row> = Vec::new();
    for (at, completions) in said.into_iter().enumerate() {
        for completion in completions {
            let text = kit.text(&completion.tokens)?;
            asked.push(prompts[at].prompt.row(&text, &completion.tokens));
            rows.push(Rolled {
                prompt: at,
                counts: completion.ended || !config.mask_truncated_completions,
                tokens: completion.tokens,
                text,
                ended: completion.ended,
                sampled: completion.sampled,
                tempered: completion.tempered,
                reference: None,
                old: None,
                rewards: Vec::new(),
                advantage: 0.0,
            });
        }
    }
    let (table, metrics) = score_all(rewards, &asked)?;
    for (row, given) in rows.iter_mut().zip(table) {
        row.rewards = given;
    }
    Ok((rows, metrics))
}

/// Fills in advantages, and the figures of rewards and lengths, all ranks together.
fn compare(
    kit: &Kit,
    found: &mut Generation,
    rewards: &[Box<dyn Reward>],
    config: &GrpoConfig,
    ranks: &dyn Ranks,
) -> Result<()> {
    let tables = share(ranks, &table(&found.rows))?;
    let before: usize = tables[..ranks.rank()].iter().map(Vec::len).sum();
    let table = tables.concat();
    let compared = advantages(&table, config)?;
    let own = compared.values.iter().skip(before);
    for (row, value) in found.rows.iter_mut().zip(own) {
        row.advantage = *value;
    }
    let tokens: Vec<Vec<u32>> = found.rows.iter().map(|row| row.tokens.clone()).collect();
    let read = CompletionMask::new(&tokens, kit.chat.ends(), config.mask_truncated_completions);
    found.metrics.merge(read.metrics());
    found.metrics = Metrics::merged(share(ranks, &found.metrics)?);
    let names: Vec<String> = rewards
        .iter()
        .map(|reward| reward.name().to_owned())
        .collect();
    found
        .metrics
        .merge(advantage::metrics(&table, &names, &compared));
    Ok(())
}

/// Fills in log-probabilities under the reference, where the loss asks for them.
pub(super) fn reference(
    policy: &Policy,
    found: &mut Generation,
    config: &GrpoConfig,
) -> Result<()> {
    if config.beta == 0.0 {
        return Ok(());
    }
    let size = config.per_device_train_batch_size;
    let temperature = config.learned_temperature();
    let prompts = &found.prompts;
    for rows in found.rows.chunks_mut(size) {
        let known = scores(&policy.reference, prompts, rows, temperature)?;
        let known = by_row(known.logps, rows)?;
        for (row, values) in rows.iter_mut().zip(known) {
            ensure!(
                values.iter().all(|v| v.is_finite()),
                "the reference gives a completion a log-probability that is no number"
            );
            row.reference = Some(values);
        }
    }
    Ok(())
}
