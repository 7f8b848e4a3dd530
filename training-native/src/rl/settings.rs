//! Settings by name: from TOML and from `name=value`, over a preset, with the near miss where a name is unknown.

use anyhow::{Context, Result, bail};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::near_miss;

/// Settings of TRL that cannot act here, and why, so that a ported file is not met with "unknown".
const ELSEWHERE: &[(&str, &str)] = &[
    ("use_vllm", "rollouts run in the trainer's own engine"),
    ("vllm_mode", "rollouts run in the trainer's own engine"),
    ("fp16", "say bf16, which needs no scaling of the loss"),
    (
        "gradient_checkpointing",
        "log-probabilities are computed in chunks instead",
    ),
    ("sync_ref_model", "the reference is the model as it was"),
    ("generation_batch_size", "say steps_per_generation instead"),
    (
        "generation_kwargs",
        "each sampling setting has a name of its own here",
    ),
    (
        "max_prompt_length",
        "prompts are never cut: photos would lose their tokens",
    ),
    ("remove_unused_columns", "rewards get every column of a row"),
    (
        "use_liger_kernel",
        "log-probabilities are computed in chunks anyway",
    ),
    (
        "report_to",
        "runs always write JSON lines and TensorBoard files",
    ),
];

/// `base` with the settings of `changes`, by name.
///
/// # Errors
/// When a name is unknown (the near miss is named), or a value is not of its setting.
pub fn with<T: Serialize + DeserializeOwned>(base: &T, changes: &Map<String, Value>) -> Result<T> {
    let Value::Object(mut all) = serde_json::to_value(base)? else {
        bail!("settings are a table of names and values");
    };
    let known: Vec<String> = all.keys().cloned().collect();
    for (name, value) in changes {
        let name = canonical(name, &known)?;
        let value = if name == "scale_rewards" {
            as_word(value)
        } else {
            value.clone()
        };
        let before = all.insert(name.clone(), value.clone());
        // One at a time, so that the message can say which.
        if let Err(error) = serde_json::from_value::<T>(Value::Object(all.clone())) {
            let hint = choice_hint(&value, &error.to_string());
            let was = before.unwrap_or_default();
            bail!("setting '{name}' cannot be {value}: {error}{hint}; it would have been {was}");
        }
    }
    Ok(serde_json::from_value(Value::Object(all))?)
}

/// The changes that a TOML file asks for.
///
/// # Errors
/// When it is not TOML.
pub fn from_toml(text: &str) -> Result<Map<String, Value>> {
    let table: toml::Table = toml::from_str(text).context("the settings are not TOML")?;
    match serde_json::to_value(table)? {
        Value::Object(map) => Ok(map),
        _ => bail!("the settings are not a table"),
    }
}

/// The change that `name=value` asks for; the value as TOML, or else as a word. `none` takes an optional one away.
///
/// # Errors
/// When there is no `=`.
pub fn from_flag(flag: &str) -> Result<(String, Value)> {
    let (name, text) = flag
        .split_once('=')
        .with_context(|| format!("'{flag}' is no setting; write NAME=VALUE"))?;
    let (name, text) = (name.trim(), text.trim());
    let value = match toml::from_str::<toml::Table>(&format!("v = {text}")) {
        Ok(mut table) => serde_json::to_value(table.remove("v"))?,
        Err(_) => Value::String(text.into()),
    };
    let absent = value.as_str().is_some_and(|word| word == "none") && name != "scale_rewards";
    Ok((name.into(), if absent { Value::Null } else { value }))
}

/// The name as it is here: TRL's `vllm_importance_sampling_*` are known, too.
fn canonical(name: &str, known: &[String]) -> Result<String> {
    let bare = name
        .strip_prefix("vllm_")
        .filter(|b| b.starts_with("importance_sampling_"));
    let name = bare.unwrap_or(name);
    if known.iter().any(|k| k == name) {
        return Ok(name.into());
    }
    if let Some((_, why)) = ELSEWHERE.iter().find(|(other, _)| *other == name) {
        bail!("setting '{name}' of TRL has no place here: {why}");
    }
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    bail!(near_miss::unknown("setting", name, &known))
}

/// TRL takes `scale_rewards` as true or false, too.
fn as_word(value: &Value) -> Value {
    match value {
        Value::Bool(true) => "group".into(),
        Value::Bool(false) => "none".into(),
        other => other.clone(),
    }
}

/// Where a word is none of the words serde lists between back-ticks, the nearest of them.
fn choice_hint(value: &Value, error: &str) -> String {
    let Some(word) = value.as_str().filter(|_| error.contains("unknown variant")) else {
        return String::new();
    };
    let listed: Vec<&str> = error.split('`').skip(3).step_by(2).collect();
    near_miss::nearest(word, &listed)
        .map_or_else(String::new, |n| format!(" (did you mean '{n}'?)"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rl::config::{GrpoConfig, LossType, ScaleRewards};

    fn changed(toml: &str) -> Result<GrpoConfig> {
        with(&GrpoConfig::default(), &from_toml(toml)?)
    }

    #[test]
    fn names_of_trl_are_the_names() {
        let config = changed(
            "loss_type = 'dr_grpo'\nscale_rewards = false\nepsilon_high = 0.28\nvllm_importance_sampling_clip_max = 2\nreward_weights = [1, 0.5]",
        )
        .unwrap();
        assert_eq!(config.loss_type, LossType::DrGrpo);
        assert_eq!(config.scale_rewards, ScaleRewards::None);
        assert_eq!(config.upper_epsilon(), 0.28);
        assert_eq!(config.importance_sampling_clip_max, Some(2.0));
        assert_eq!(config.reward_weights, Some(vec![1.0, 0.5]));
    }

    #[test]
    fn flags_are_toml_or_words() {
        let apply = |flags: &[&str]| {
            let changes = flags
                .iter()
                .map(|f| from_flag(f))
                .collect::<Result<Map<_, _>>>()?;
            with(&GrpoConfig::default(), &changes)
        };
        let config = apply(&["loss_type=gRPO"]);
        assert!(config.is_err());
        let config = apply(&[
            "loss_type=grpo",
            "delta = 4",
            "importance_sampling_clip_max=none",
            "scale_rewards=none",
        ])
        .unwrap();
        assert_eq!(
            (config.loss_type, config.delta),
            (LossType::Grpo, Some(4.0))
        );
        assert_eq!(
            (config.importance_sampling_clip_max, config.scale_rewards),
            (None, ScaleRewards::None)
        );
        assert!(
            from_flag("beta")
                .unwrap_err()
                .to_string()
                .contains("NAME=VALUE")
        );
    }

    #[test]
    fn what_is_wrong_is_named_with_the_near_miss() {
        let said = |toml: &str| changed(toml).unwrap_err().to_string();
        assert!(said("epsilom = 1").contains("did you mean 'epsilon'"));
        assert!(said("use_vllm = true").contains("own engine"));
        assert!(
            said("loss_type = 'gpro'").contains("did you mean 'grpo'"),
            "{}",
            said("loss_type = 'gpro'")
        );
        let typed = said("beta = 'high'");
        assert!(
            typed.contains("'beta'") && typed.contains("high"),
            "{typed}"
        );
        assert!(said("beta = ").contains("not TOML"));
        // Two faults: the one that is named is wrong, not its neighbour.
        assert!(said("num_generations = -1\nbeta = 0.1").contains("'num_generations'"));
    }
}
