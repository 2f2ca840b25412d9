//! A generator of short reviews whose sentiment is known by construction.
//!
//! Every sentence is written for a polarity. Some of them say it plainly, some with the opposite word
//! and a negation ("was not stale"), some concede something to the other side first ("the bed was
//! damp , but the garden was lovely": the last clause decides), so that counting good and bad words
//! does not solve the task. All sentences of a review agree; neutral ones may stand between them.

use crate::lexicon::{
    BAD, DEGREES, DISLIKE, GOOD, Kind, LIKE, NEUTRAL, NO_RETURN, NOT, PEOPLE, RETURN, TOPICS, Topic,
};
use crate::random::Random;

/// Whether a review praises or complains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Polarity {
    /// A complaint; label 0.
    Negative,
    /// Praise; label 1.
    Positive,
}

impl Polarity {
    /// The other one.
    pub const fn opposite(self) -> Self {
        match self {
            Self::Negative => Self::Positive,
            Self::Positive => Self::Negative,
        }
    }

    /// The label of SST-2: 0 for negative, 1 for positive.
    pub const fn label(self) -> usize {
        match self {
            Self::Negative => 0,
            Self::Positive => 1,
        }
    }
}

/// How a sentence carries its polarity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Plain,
    Twofold,
    Threefold,
    Both,
    Negated,
    But,
    Although,
    Verb,
    NegatedVerb,
    Return,
}

const FORMS: &[(u32, Form)] = &[
    (18, Form::Plain),
    (20, Form::Twofold),
    (14, Form::Threefold),
    (6, Form::Both),
    (8, Form::Negated),
    (6, Form::But),
    (3, Form::Although),
    (12, Form::Verb),
    (4, Form::NegatedVerb),
    (9, Form::Return),
];

/// A review of `polarity` with `sentences` sentences about one topic. The first sentence is never
/// neutral, each further one is with 15 %.
pub fn review(random: &mut Random, polarity: Polarity, sentences: usize) -> String {
    let topic = &TOPICS[random.below(TOPICS.len())];
    let mut text = sentence(random, topic, polarity);
    for _ in 1..sentences {
        text.push(' ');
        if random.chance(15) {
            text.push_str(random.pick(NEUTRAL));
        } else {
            text.push_str(&sentence(random, topic, polarity));
        }
    }
    text
}

fn sentence(random: &mut Random, topic: &Topic, polarity: Polarity) -> String {
    let form = random.weighted(FORMS);
    write(random, topic, polarity, form)
}

fn write(random: &mut Random, topic: &Topic, polarity: Polarity, form: Form) -> String {
    let kind = random.pick(topic.parts);
    match form {
        Form::Plain => format!("{} .", clause(random, kind, polarity)),
        Form::Twofold => {
            let noun = random.pick(kind.nouns);
            let first = random.pick(specific(kind, polarity));
            let second = random.pick(general(polarity));
            format!("the {noun} was {first} and {second} .")
        }
        Form::Threefold => {
            let noun = random.pick(kind.nouns);
            let (first, second) = random.pick_two(specific(kind, polarity));
            let third = random.pick(general(polarity));
            format!("the {noun} was {first} , {second} and {third} .")
        }
        Form::Both => {
            let (first, second) = random.pick_two(kind.nouns);
            let word = adjective(random, kind, polarity);
            format!("both the {first} and the {second} were {word} .")
        }
        Form::Negated => format!("{} .", negated_clause(random, kind, polarity)),
        Form::But => {
            let other = random.pick(topic.parts);
            let conceded = clause(random, other, polarity.opposite());
            let decides = any_clause(random, kind, polarity);
            format!("{conceded} , but {decides} .")
        }
        Form::Although => {
            let other = random.pick(topic.parts);
            let conceded = clause(random, other, polarity.opposite());
            let decides = any_clause(random, kind, polarity);
            format!("although {conceded} , {decides} .")
        }
        Form::Verb => {
            let who = random.pick(PEOPLE);
            let (past, _) = random.pick(verbs(polarity));
            let whole = random.pick(topic.wholes);
            format!("{who} {past} the {whole} .")
        }
        Form::NegatedVerb => {
            let who = random.pick(PEOPLE);
            let (_, base) = random.pick(verbs(polarity.opposite()));
            let whole = random.pick(topic.wholes);
            format!("{who} did not {base} the {whole} .")
        }
        Form::Return => random
            .pick(match polarity {
                Polarity::Positive => RETURN,
                Polarity::Negative => NO_RETURN,
            })
            .to_owned(),
    }
}

fn any_clause(random: &mut Random, kind: &Kind, polarity: Polarity) -> String {
    if random.chance(20) {
        negated_clause(random, kind, polarity)
    } else {
        clause(random, kind, polarity)
    }
}

fn clause(random: &mut Random, kind: &Kind, polarity: Polarity) -> String {
    let noun = random.pick(kind.nouns);
    let degree = random.weighted(DEGREES);
    let word = adjective(random, kind, polarity);
    format!("the {noun} was {degree}{word}")
}

fn negated_clause(random: &mut Random, kind: &Kind, polarity: Polarity) -> String {
    let noun = random.pick(kind.nouns);
    let not = random.weighted(NOT);
    let word = adjective(random, kind, polarity.opposite());
    format!("the {noun} was {not}{word}")
}

fn adjective(random: &mut Random, kind: &Kind, polarity: Polarity) -> &'static str {
    if random.chance(30) {
        random.pick(general(polarity))
    } else {
        random.pick(specific(kind, polarity))
    }
}

/// The adjectives of a polarity that fit everything.
pub const fn general(polarity: Polarity) -> &'static [&'static str] {
    match polarity {
        Polarity::Positive => GOOD,
        Polarity::Negative => BAD,
    }
}

const fn specific(kind: &Kind, polarity: Polarity) -> &'static [&'static str] {
    match polarity {
        Polarity::Positive => kind.good,
        Polarity::Negative => kind.bad,
    }
}

const fn verbs(polarity: Polarity) -> &'static [(&'static str, &'static str)] {
    match polarity {
        Polarity::Positive => LIKE,
        Polarity::Negative => DISLIKE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{BTreeMap, BTreeSet};
    use zograd_direction::Seed;

    const BOTH: [Polarity; 2] = [Polarity::Negative, Polarity::Positive];

    fn random() -> Random {
        Random::new(Seed::new(7))
    }

    /// A parser written apart from the generator: the sign of the last polar word of the sentence,
    /// turned by a negation before it in its clause. `None` if there is no polar word.
    fn judge(sentence: &str) -> Option<Polarity> {
        if RETURN.contains(&sentence) {
            return Some(Polarity::Positive);
        }
        if NO_RETURN.contains(&sentence) {
            return Some(Polarity::Negative);
        }
        if NEUTRAL.contains(&sentence) {
            return None;
        }
        let mut signs: BTreeMap<&str, Polarity> = BTreeMap::new();
        for topic in TOPICS {
            for kind in topic.parts {
                signs.extend(kind.good.iter().map(|&w| (w, Polarity::Positive)));
                signs.extend(kind.bad.iter().map(|&w| (w, Polarity::Negative)));
            }
        }
        signs.extend(GOOD.iter().map(|&w| (w, Polarity::Positive)));
        signs.extend(BAD.iter().map(|&w| (w, Polarity::Negative)));
        for (words, sign) in [(LIKE, Polarity::Positive), (DISLIKE, Polarity::Negative)] {
            signs.extend(words.iter().flat_map(|&(a, b)| [(a, sign), (b, sign)]));
        }
        let clause = sentence.rsplit(" , ").next()?;
        let clause = clause.strip_prefix("but ").unwrap_or(clause);
        let turned = ["not", "never", "hardly", "anything"]
            .iter()
            .any(|not| clause.split(' ').any(|word| word == *not));
        let sign = clause
            .split(' ')
            .rev()
            .find_map(|word| signs.get(word).copied())?;
        Some(if turned { sign.opposite() } else { sign })
    }

    #[test]
    fn every_form_says_what_it_should() {
        let mut random = random();
        for topic in TOPICS {
            for polarity in BOTH {
                for &(_, form) in FORMS {
                    for _ in 0..50 {
                        let text = write(&mut random, topic, polarity, form);
                        assert_eq!(judge(&text), Some(polarity), "{form:?}: {text}");
                    }
                }
            }
        }
    }

    #[test]
    fn all_sentences_of_a_review_agree() {
        let mut random = random();
        for polarity in BOTH {
            for _ in 0..500 {
                let text = review(&mut random, polarity, 4);
                let sentences: Vec<String> = text
                    .split_inclusive(" .")
                    .map(|s| s.trim().to_owned())
                    .collect();
                assert_eq!(sentences.len(), 4, "{text}");
                assert_eq!(judge(&sentences[0]), Some(polarity), "{text}");
                for sentence in &sentences {
                    assert_ne!(judge(sentence), Some(polarity.opposite()), "{text}");
                }
            }
        }
    }

    /// No word is both praise and complaint, and the two have as many words, so that nothing but the
    /// polarity of the words gives a label away.
    #[test]
    fn the_lexicon_is_balanced() {
        let mut good: BTreeSet<&str> = GOOD.iter().copied().collect();
        let mut bad: BTreeSet<&str> = BAD.iter().copied().collect();
        assert_eq!(GOOD.len(), BAD.len());
        assert_eq!(LIKE.len(), DISLIKE.len());
        assert_eq!(RETURN.len(), NO_RETURN.len());
        for topic in TOPICS {
            for kind in topic.parts {
                assert_eq!(kind.good.len(), kind.bad.len());
                good.extend(kind.good);
                bad.extend(kind.bad);
            }
        }
        assert_eq!(good.intersection(&bad).count(), 0);
        for word in ["great", "terrible"] {
            assert!(!good.contains(word) && !bad.contains(word));
        }
    }

    #[test]
    fn the_language_has_a_few_hundred_words() {
        let mut random = random();
        let mut words = BTreeSet::new();
        for polarity in BOTH {
            for _ in 0..5000 {
                let text = review(&mut random, polarity, 3);
                words.extend(text.split(' ').map(str::to_owned));
            }
        }
        assert!((250..450).contains(&words.len()), "{}", words.len());
    }
}
