//! The model card: the README.md beside the weights that a run keeps, in the form that the Hugging Face Hub reads.

use super::Summary;
use serde_json::Value;
use std::fmt::Write;

/// Name of the card. It says what the weights are and is no part of them: whoever publishes them rewrites it.
pub(crate) const CARD: &str = "README.md";

/// What a run did to a model, for whoever finds the weights: data, scores, settings.
pub(crate) fn card(summary: &Summary) -> String {
    let mut card = String::from("---\n");
    let base = summary.settings["model"].as_str();
    // a name on the hub: it has an owner; a place on this disk is nobody else's business
    if let Some(name) = base.filter(|name| !names_a_place(name) && name.contains('/')) {
        let _ = writeln!(card, "base_model: {name}");
    }
    let library = match summary.tune.as_str() {
        "lora" | "prefix" => "peft",
        _ => "transformers",
    };
    let counts = &summary.counts;
    let _ = write!(
        card,
        "library_name: {library}\ntags:\n- zograd\n---\n\n# {model}, tuned on {task}\n\n\
         Made with [zograd]({repository}) {version}: method {method}, tuned: {tune}, objective {objective}.\n\n\
         | on {test} test rows | before | after |\n|---|---|---|\n",
        model = last(&summary.model),
        task = summary.task,
        repository = env!("CARGO_PKG_REPOSITORY"),
        version = env!("CARGO_PKG_VERSION"),
        method = summary.method,
        tune = summary.tune,
        objective = summary.objective,
        test = counts.test.got,
    );
    let named = |name: &str, before: Option<f64>, after: Option<f64>| {
        let number = |x: Option<f64>| x.map_or_else(|| "-".into(), |x| format!("{x:.4}"));
        format!("| {name} | {} | {} |\n", number(before), number(after))
    };
    card += &named(summary.metric.name(), summary.before(), summary.after());
    card += &named("loss", Some(summary.loss_before), Some(summary.loss_after));
    if !summary.option_biases.is_empty() && summary.logit_shift.is_empty() {
        card += "\nAfter the run, biases are added to the scores of the options (`option-biases.json`), for which these weights \
                 have no place: zograd does so, and other programs do not.\n";
    }
    if let Some(rate) = &summary.measured_rate {
        let _ = write!(
            card,
            "\nThe learning rate was measured before the first step (`lr = \"auto\"`): {:.2e}.\n",
            rate.lr
        );
    }
    let _ = write!(
        card,
        "\n{train} training rows, {dev} development rows, by which the weights were chosen{step}. {steps} steps, \
         {forwards} forward passes.\n\n## Settings\n\n```toml\n{settings}```\n\n## Licence\n\n\
         What the base model's licence and the data's ask for holds here too; add yours before you publish.\n",
        train = counts.train.got,
        dev = counts.dev.got,
        step = summary
            .best_step
            .map_or_else(String::new, |step| format!(" (those after step {step})")),
        steps = summary.steps,
        forwards = summary.forwards,
        settings = settings(&summary.settings),
    );
    card
}

/// The settings as TOML, without places on this disk.
fn settings(settings: &Value) -> String {
    let Value::Object(settings) = settings else {
        return String::new();
    };
    let told = settings
        .iter()
        .filter(|(_, value)| !value.is_null() && !value.as_str().is_some_and(names_a_place));
    told.map(|(key, value)| format!("{key} = {value}\n"))
        .collect()
}

/// Whether a value, or a word of it, is a place on a disk.
pub(crate) fn names_a_place(text: &str) -> bool {
    let mut words = text.split_whitespace();
    words.any(|word| word.starts_with(['/', '.', '~']) || word.contains('\\'))
}

/// The name at the end of a place.
fn last(model: &str) -> &str {
    match names_a_place(model) {
        true => model.rsplit(['/', '\\']).next().unwrap_or(model),
        false => model,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_on_the_disk_are_left_out() {
        let given = serde_json::json!({
            "model": "/home/somebody/model", "method": "gv", "lr": 1e-5, "data": "./rows", "reward": null, "pool": 4,
            "reward-command": "python3 /home/somebody/judge.py"
        });
        assert_eq!(
            settings(&given),
            "method = \"gv\"\nlr = 0.00001\npool = 4\n"
        );
    }
}
