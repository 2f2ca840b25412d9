use std::collections::HashMap;

/// SQuAD's normal form of an answer: lower case, without ASCII punctuation, without the words a, an
/// and the, single blanks between words.
///
/// ```
/// use zograd_tasks::metrics::normalize_answer;
///
/// assert_eq!(normalize_answer("The  well-known U.S. anthem!"), "wellknown us anthem");
/// ```
pub fn normalize_answer(answer: &str) -> String {
    let mut text = answer.to_lowercase();
    text.retain(|c| !c.is_ascii_punctuation());
    let without_articles = replace_articles(&text);
    let words: Vec<&str> = without_articles.split_whitespace().collect();
    words.join(" ")
}

/// `re.sub(r'\b(a|an|the)\b', ' ', text)` on a text without underscores: a word is an unbroken run
/// of letters and digits, so that `the–end` (with a dash) loses its article too.
fn replace_articles(text: &str) -> String {
    let mut replaced = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(char::is_alphanumeric) {
        let (between, from_word) = rest.split_at(start);
        let end = from_word
            .find(|c: char| !c.is_alphanumeric())
            .unwrap_or(from_word.len());
        let (word, after) = from_word.split_at(end);
        replaced.push_str(between);
        replaced.push_str(match word {
            "a" | "an" | "the" => " ",
            _ => word,
        });
        rest = after;
    }
    replaced + rest
}

/// The word overlap of an answer with the gold answer it fits best, from 0 to 1.
///
/// For each gold answer 2 p r / (p + r), where p and r are the shares of the prediction's and the
/// gold answer's normalised words that both have (counted with repetitions), 0 if they have none. If
/// the first gold answer is `CANNOTANSWER` or `no answer`, the score is 1 for saying so, else 0.
/// Without gold answers it is 0.
///
/// ```
/// use zograd_tasks::metrics::f1;
///
/// assert_eq!(f1("the red car", &["car", "Red car!"]), 1.0);
/// assert_eq!(f1("car in red", &["a red car"]), 0.8);
/// ```
pub fn f1(prediction: &str, gold: &[impl AsRef<str>]) -> f64 {
    let prediction = normalize_answer(prediction);
    match gold.first().map(AsRef::as_ref) {
        Some(none @ ("CANNOTANSWER" | "no answer")) => {
            f64::from(u8::from(normalize_answer(none) == prediction))
        }
        _ => gold
            .iter()
            .map(|answer| overlap(&prediction, &normalize_answer(answer.as_ref())))
            .fold(0.0, f64::max),
    }
}

fn overlap(prediction: &str, gold: &str) -> f64 {
    let mut left: HashMap<&str, usize> = HashMap::new();
    let (mut predicted, mut wanted, mut same) = (0u32, 0u32, 0u32);
    for word in gold.split_whitespace() {
        *left.entry(word).or_default() += 1;
        wanted += 1;
    }
    for word in prediction.split_whitespace() {
        predicted += 1;
        if let Some(times) = left.get_mut(word).filter(|times| **times > 0) {
            *times -= 1;
            same += 1;
        }
    }
    if same == 0 {
        return 0.0;
    }
    let precision = f64::from(same) / f64::from(predicted);
    let recall = f64::from(same) / f64::from(wanted);
    2.0 * precision * recall / (precision + recall)
}

/// Whether an answer equals one of the gold answers, both normalised.
pub fn exact_match(prediction: &str, gold: &[impl AsRef<str>]) -> bool {
    let prediction = normalize_answer(prediction);
    gold.iter()
        .any(|answer| normalize_answer(answer.as_ref()) == prediction)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn articles_are_whole_words() {
        assert_eq!(normalize_answer("a an the anthem thea"), "anthem thea");
        assert_eq!(normalize_answer("the\u{2013}end"), "\u{2013}end");
        assert_eq!(normalize_answer("a_n"), "");
        assert_eq!(normalize_answer("l'a b"), "la b");
    }

    #[test]
    fn repeated_words_count_as_often_as_both_have_them() {
        // two of three predicted words, two of two gold words
        let score = f1("x x x", &["x x"]);
        assert!((score - 0.8).abs() < 1e-15, "{score}");
    }

    #[test]
    fn no_gold_answers_score_nothing() {
        assert_eq!(f1("x", &[] as &[&str]), 0.0);
        assert!(!exact_match("x", &[] as &[&str]));
    }
}
