//! Metrics equal those of the public MeZO code.

use crate::reference::golden;
use serde_json::Value;
use zograd_tasks::metrics::{accuracy, exact_match, f1, normalize_answer};

fn texts(value: &Value) -> Vec<&str> {
    let list = value.as_array().expect("a list");
    list.iter().map(|x| x.as_str().expect("a text")).collect()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

#[test]
fn answers() {
    let Some(golden) = golden("reference/metrics.json") else {
        return;
    };
    let (mut f1s, mut matches) = (vec![], vec![]);
    for pair in golden["pairs"].as_array().expect("pairs") {
        let prediction = pair["prediction"].as_str().expect("a text");
        let gold = texts(&pair["gold"]);
        assert_eq!(normalize_answer(prediction), pair["normalized_prediction"]);
        for (answer, normal) in gold.iter().zip(texts(&pair["normalized_gold"])) {
            assert_eq!(normalize_answer(answer), normal);
        }
        // the same operations in the same order: equal to the bit
        f1s.push(f1(prediction, &gold));
        assert_eq!(pair["f1"], f1s[f1s.len() - 1], "{pair}");
        matches.push(f64::from(u8::from(exact_match(prediction, &gold))));
        assert_eq!(pair["em"], matches[matches.len() - 1], "{pair}");
        let among = accuracy([(gold.as_slice(), prediction)]);
        assert_eq!(pair["accuracy_gold_list"].as_f64(), among, "{pair}");
    }
    // numpy adds up in another order
    for (name, values) in [("mean_f1", f1s), ("mean_em", matches)] {
        let expected = golden[name].as_f64().expect("a number");
        assert!((mean(&values) - expected).abs() < 1e-14, "{name}");
    }
}

#[test]
fn choices() {
    let Some(golden) = golden("reference/metrics.json") else {
        return;
    };
    let index = |value: &Value| value.as_u64().expect("an index");
    for set in golden["accuracy_sets"].as_array().expect("sets") {
        let correct: Vec<Vec<u64>> = set["correct"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|right| match right.as_array() {
                Some(several) => several.iter().map(index).collect(),
                None => vec![index(right)],
            })
            .collect();
        let predicted = set["predicted"].as_array().expect("a list");
        assert_eq!(predicted.len(), correct.len());
        let pairs = correct.iter().map(Vec::as_slice);
        let score = accuracy(pairs.zip(predicted.iter().map(index)));
        assert_eq!(score, set["accuracy"].as_f64());
    }
}
