//! The words of the toy language. All of it was made up for this project.
//!
//! "great" and "terrible" are missing on purpose: they occur as verdicts only (see
//! [`crate::corpus`]), so that what the model knows about them is what the corpus says there.

/// Things of one sort and what can be said of them.
pub struct Kind {
    /// Singular nouns that follow "the".
    pub nouns: &'static [&'static str],
    /// Praise that fits these nouns.
    pub good: &'static [&'static str],
    /// Complaints that fit these nouns.
    pub bad: &'static [&'static str],
}

/// What a review is about.
pub struct Topic {
    /// Names of the whole, singular, after "the".
    pub wholes: &'static [&'static str],
    /// The sorts of parts that reviews of this topic speak of.
    pub parts: &'static [&'static Kind],
}

/// Adjectives of praise that fit everything.
pub const GOOD: &[&str] = &[
    "wonderful",
    "lovely",
    "superb",
    "delightful",
    "excellent",
    "pleasant",
    "perfect",
    "impressive",
];

/// Adjectives of complaint that fit everything.
pub const BAD: &[&str] = &[
    "awful",
    "horrible",
    "dreadful",
    "poor",
    "disappointing",
    "annoying",
    "weak",
    "mediocre",
];

/// Verbs of approval: past tense and the form after "did not".
pub const LIKE: &[(&str, &str)] = &[
    ("loved", "love"),
    ("enjoyed", "enjoy"),
    ("liked", "like"),
    ("praised", "praise"),
    ("recommended", "recommend"),
];

/// Verbs of disapproval: past tense and the form after "did not".
pub const DISLIKE: &[(&str, &str)] = &[
    ("hated", "hate"),
    ("disliked", "dislike"),
    ("regretted", "regret"),
    ("cursed", "curse"),
    ("resented", "resent"),
];

/// Words that strengthen an adjective; the empty one is the most frequent.
pub const DEGREES: &[(u32, &str)] = &[
    (10, ""),
    (2, "very "),
    (2, "really "),
    (1, "so "),
    (1, "quite "),
    (1, "simply "),
];

/// Negations that stand between "was" and an adjective.
pub const NOT: &[(u32, &str)] = &[
    (6, "not "),
    (2, "never "),
    (1, "hardly "),
    (1, "anything but "),
];

/// Who speaks.
pub const PEOPLE: &[&str] = &[
    "i",
    "we",
    "my sister",
    "my uncle",
    "our neighbour",
    "the children",
    "everyone",
];

/// Sentences that promise a return.
pub const RETURN: &[&str] = &[
    "we will be back soon .",
    "i would do it again .",
    "it was worth every coin .",
    "we left with a smile .",
    "i told all my friends to go .",
];

/// Sentences that rule a return out.
pub const NO_RETURN: &[&str] = &[
    "we will never be back .",
    "i would not do it again .",
    "it was a waste of money .",
    "we left with a headache .",
    "i told all my friends to stay away .",
];

/// Sentences that say nothing about quality.
pub const NEUTRAL: &[&str] = &[
    "we went there on a monday .",
    "it was a rainy afternoon .",
    "my cousin had the idea .",
    "it took us about two hours .",
    "we had read about it in the paper .",
    "this was our second time .",
    "it was in the middle of june .",
    "i had a free ticket .",
];

const FOOD: Kind = Kind {
    nouns: &["soup", "bread", "salad", "curry", "cake", "coffee"],
    good: &["fresh", "tasty", "rich", "crisp", "tender"],
    bad: &["stale", "bland", "soggy", "burnt", "greasy"],
};

const SERVICE: Kind = Kind {
    nouns: &["waiter", "host", "owner", "clerk", "driver", "guide"],
    good: &["kind", "polite", "helpful", "friendly", "cheerful"],
    bad: &["rude", "careless", "grumpy", "impatient", "lazy"],
};

const STORY: Kind = Kind {
    nouns: &["plot", "dialogue", "ending", "hero", "opening", "villain"],
    good: &["moving", "clever", "gripping", "witty", "original"],
    bad: &["dull", "silly", "wooden", "confusing", "hollow"],
};

const ROOM: Kind = Kind {
    nouns: &["room", "lobby", "bed", "garden", "bathroom", "balcony"],
    good: &["clean", "quiet", "cosy", "bright", "spacious"],
    bad: &["dirty", "noisy", "cramped", "dusty", "damp"],
};

const DEVICE: Kind = Kind {
    nouns: &[
        "screen", "battery", "camera", "keyboard", "speaker", "charger",
    ],
    good: &["sharp", "fast", "sturdy", "reliable", "handy"],
    bad: &["blurry", "slow", "flimsy", "faulty", "clumsy"],
};

const COST: Kind = Kind {
    nouns: &["price", "bill", "fee", "deal"],
    good: &["fair", "modest", "sensible", "honest"],
    bad: &["steep", "absurd", "shocking", "unfair"],
};

const MUSIC: Kind = Kind {
    nouns: &["singer", "drummer", "chorus", "melody", "sound", "encore"],
    good: &["lively", "soulful", "joyful", "graceful", "catchy"],
    bad: &["flat", "shrill", "lifeless", "tiresome", "muddy"],
};

const CLOTH: Kind = Kind {
    nouns: &["fabric", "collar", "colour", "zip", "lining", "sleeve"],
    good: &["soft", "elegant", "durable", "comfortable", "stylish"],
    bad: &["itchy", "ugly", "stiff", "shabby", "crooked"],
};

const RIDE: Kind = Kind {
    nouns: &["train", "flight", "bus", "ferry", "seat", "cabin"],
    good: &["punctual", "safe", "relaxing", "smooth", "roomy"],
    bad: &["late", "crowded", "bumpy", "filthy", "chaotic"],
};

const LESSON: Kind = Kind {
    nouns: &[
        "lesson", "teacher", "handbook", "exercise", "lecture", "workshop",
    ],
    good: &["useful", "clear", "inspiring", "thorough", "lucid"],
    bad: &["useless", "vague", "boring", "sloppy", "pointless"],
};

/// All topics.
pub const TOPICS: &[Topic] = &[
    Topic {
        wholes: &["meal", "dinner", "restaurant", "bakery"],
        parts: &[&FOOD, &SERVICE, &COST],
    },
    Topic {
        wholes: &["film", "movie", "show", "sequel"],
        parts: &[&STORY, &MUSIC],
    },
    Topic {
        wholes: &["hotel", "hostel", "inn", "cottage"],
        parts: &[&ROOM, &SERVICE, &FOOD],
    },
    Topic {
        wholes: &["phone", "laptop", "tablet", "gadget"],
        parts: &[&DEVICE, &COST],
    },
    Topic {
        wholes: &["concert", "album", "band", "festival"],
        parts: &[&MUSIC, &COST],
    },
    Topic {
        wholes: &["book", "novel", "tale", "comic"],
        parts: &[&STORY, &COST],
    },
    Topic {
        wholes: &["jacket", "coat", "dress", "shirt"],
        parts: &[&CLOTH, &COST],
    },
    Topic {
        wholes: &["trip", "journey", "tour", "voyage"],
        parts: &[&RIDE, &SERVICE, &ROOM],
    },
    Topic {
        wholes: &["course", "seminar", "class", "school"],
        parts: &[&LESSON, &COST],
    },
];
