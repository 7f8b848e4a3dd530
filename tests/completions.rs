//! What training computes of completions is what they were drawn with; a prompt shared by them changes neither values nor gradients.
#![allow(clippy::unwrap_used, reason = "tests")]

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Gradients, Tensor};
use namelens_engine::generate::{RolloutOptions, RolloutPrompt, rollout};
use namelens_engine::host::Still;
use namelens_engine::model::checkpoint::CheckpointSource;
use namelens_engine::model::completions::Completed;
use namelens_engine::model::config::VlmConfig;
use namelens_engine::model::params::ParamBuilder;
use namelens_engine::model::vlm::Vlm;
use namelens_tests::golden::vlms;
use namelens_tests::prompts::{Asked, families, playroom, scenes};
use namelens_tests::{floats, largest_gap};

/// Log-probabilities: sums in another order.
const NOISE: f32 = 1e-5;
const TEMPERATURE: f32 = 0.9;

/// Every model twice, with gradients and without, and its prompts.
fn models() -> Vec<(String, Vlm, Vlm, VlmConfig, Vec<Asked>)> {
    let training = Device::flex().autodiff();
    let (plain, config, _) = playroom(&Device::flex());
    let asked = scenes(&plain, &config);
    let mut models = vec![(
        "playroom".into(),
        playroom(&training).0,
        plain,
        config,
        asked,
    )];
    for ((name, plain, config, asked), checkpoint) in families().into_iter().zip(vlms()) {
        assert_eq!(name, checkpoint.name);
        models.push((name, checkpoint.vlm(&training).0, plain, config, asked));
    }
    models
}

fn options(config: &VlmConfig) -> RolloutOptions {
    RolloutOptions {
        temperature: TEMPERATURE,
        top_k: 0,
        top_p: 1.0,
        min_p: 0.0,
        max_tokens: 11,
        ends: (0..config.text_config.vocab_size as u32)
            .filter(|id| id % 7 == 3)
            .collect(),
        banned: Vec::new(),
        context: config.text_config.context(),
        image_token: config.image_token_id,
        rows: 64,
        seed: 2,
        step: 9,
    }
}

/// Completions of a prompt and their log-probabilities, one after the other.
fn drawn(vlm: &Vlm, asked: &Asked, config: &VlmConfig) -> (Vec<Vec<u32>>, Vec<f32>) {
    let prompt = RolloutPrompt {
        ids: &asked.ids,
        photos: asked.photos(),
        first_sample: 30,
    };
    let drawn = pollster::block_on(rollout(vlm, &[prompt], 5, &options(config), &Still)).unwrap();
    let tokens = drawn[0].iter().map(|completion| completion.tokens.clone());
    let likely = drawn[0]
        .iter()
        .flat_map(|completion| completion.tempered.clone());
    (tokens.collect(), likely.collect())
}

fn completed<'a>(asked: &'a Asked, completions: &'a [&'a [u32]]) -> Completed<'a> {
    Completed {
        prompt: &asked.ids,
        completions,
        visual: asked.visual.as_ref(),
        grids: &asked.grids,
    }
}

/// A loss in which every token counts differently; `first` is the number of the first of them.
fn loss(vlm: &Vlm, said: &Completed<'_>, first: usize) -> (Tensor<1>, Vec<f32>) {
    let hidden = vlm.completion_states(said).unwrap();
    let tokens = said.tokens();
    let scores = vlm.decoder.token_scores(hidden, &tokens, TEMPERATURE);
    let device = scores.entropy.device();
    let weights: Vec<f32> = (first..first + tokens.len())
        .map(|i| ((i * 7) % 5) as f32 - 1.5)
        .collect();
    let weights = Tensor::<1>::from_floats(weights.as_slice(), &device);
    let likely = floats(scores.log_probs.clone().inner());
    let sum = (scores.log_probs * weights).sum() + scores.entropy.sum() * 0.1;
    (sum, likely)
}

#[test]
fn what_was_drawn_is_as_likely_in_training() {
    let mut all = 0.0f32;
    for (name, training, plain, config, asked) in models() {
        for asked in &asked {
            let (tokens, wanted) = drawn(&plain, asked, &config);
            let tokens: Vec<&[u32]> = tokens.iter().map(Vec::as_slice).collect();
            let said = completed(asked, &tokens);
            // With gradients, as the reference without them, and as the policy is when it draws.
            let valid = training.valid();
            let mut worst = [0.0f32; 3];
            for (worst, vlm) in worst.iter_mut().zip([&training, &plain, &valid]) {
                let (_, found) = loss(vlm, &said, 0);
                *worst = largest_gap(&found, &wanted);
            }
            println!("{name}, {} tokens: {worst:?}", wanted.len());
            all = worst.into_iter().fold(all, f32::max);
            let (again, _) = drawn(&valid, asked, &config);
            assert_eq!(
                again, tokens,
                "{name}: drawn by the model in evaluation mode"
            );
        }
    }
    assert!(all <= NOISE, "{all:e}");
}

/// The gradients of all parameters, one after the other.
fn flat(vlm: &Vlm, gradients: &Gradients) -> Vec<f32> {
    struct Read<'a>(&'a Gradients, Vec<f32>);
    impl ModuleVisitor for Read<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let len = param.val().shape().num_elements();
            match param.val().grad(self.0) {
                Some(gradient) => self.1.extend(floats(gradient)),
                None => self.1.extend(vec![0.0; len]),
            }
        }
    }
    let mut read = Read(gradients, Vec::new());
    vlm.visit(&mut read);
    read.1
}

/// Relative distance of gradients within float noise: sums of some hundred terms in another order, through all layers.
#[test]
fn a_shared_prompt_gives_the_gradients_of_a_row_for_each_completion() {
    for (name, training, plain, config, asked) in models() {
        let asked = &asked[0];
        let (tokens, _) = drawn(&plain, asked, &config);
        let tokens: Vec<&[u32]> = tokens.iter().map(Vec::as_slice).collect();
        let (together, _) = loss(&training, &completed(asked, &tokens), 0);
        let value = floats(together.clone().inner())[0];
        let shared = flat(&training, &together.backward());
        let (mut sum, mut first, mut alone) = (0.0, 0, vec![0.0; shared.len()]);
        for tokens in &tokens {
            let own = [*tokens];
            let (loss, _) = loss(&training, &completed(asked, &own), first);
            sum += floats(loss.clone().inner())[0];
            first += tokens.len();
            let gradients = flat(&training, &loss.backward());
            alone
                .iter_mut()
                .zip(gradients)
                .for_each(|(sum, own)| *sum += own);
        }
        assert!(
            (sum - value).abs() <= 1e-4 * (1.0 + sum.abs()),
            "{name}: {value}, not {sum}"
        );
        let norm =
            |v: &mut dyn Iterator<Item = f32>| v.map(|v| f64::from(v).powi(2)).sum::<f64>().sqrt();
        let far = norm(&mut shared.iter().zip(&alone).map(|(a, b)| a - b));
        let all = norm(&mut alone.iter().copied());
        println!("{name}: {:.1e} of a gradient of {all:.1e}", far / all);
        assert!(all > 0.0 && far <= 1e-5 * all, "{name}: {far:e} of {all:e}");
    }
}

#[test]
fn completions_that_cannot_be_read_are_refused() {
    let (vlm, config, _) = playroom(&Device::flex());
    let asked = scenes(&vlm, &config).remove(0);
    let code = |asked: &Asked, completions: &[&[u32]]| {
        let states = vlm.completion_states(&completed(asked, completions));
        states.map(|_| ()).unwrap_err().code()
    };
    assert_eq!(code(&asked, &[]), "option");
    assert_eq!(code(&asked, &[&[], &[]]), "option");
    let photo = [config.image_token_id, 41, 42];
    assert_eq!(code(&asked, &[&photo]), "template");
    let nothing = Asked {
        ids: Vec::new(),
        visual: None,
        grids: Vec::new(),
    };
    assert_eq!(code(&nothing, &[&[41]]), "option");
    // An empty one among others takes no place.
    let states = |completions: &[&[u32]]| {
        floats(
            vlm.completion_states(&completed(&asked, completions))
                .unwrap(),
        )
    };
    assert_eq!(states(&[&[], &[50, 51], &[]]), states(&[&[50, 51]]));
}

/// A checkpoint of a training run is read back under the names it was written under.
#[test]
fn a_model_in_training_reads_what_it_wrote() {
    let (vlm, config, names) = playroom(&Device::flex().autodiff());
    let folder = tempfile::tempdir().unwrap();
    namelens::bundle::write_safetensors(
        &folder.path().join("model.safetensors"),
        &names.collect(&vlm),
    )
    .unwrap();
    let weights = namelens::bundle::open_weights(folder.path()).unwrap();
    let mut source = CheckpointSource::new(weights);
    let mut params = ParamBuilder::new(&mut source, &Device::flex());
    Vlm::new(&mut params, &config).unwrap();
    assert_eq!(source.unused(), Vec::<&str>::new());
}
