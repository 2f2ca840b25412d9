//! Names that settings choose from.

/// An enum of names: with `Display`, `FromStr`, serde by name, and the choices for help.
macro_rules! names {
    (
        $(#[$about:meta])*
        pub enum $type:ident {
            $( $variant:ident = $name:literal, $help:literal; )*
        }
    ) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum $type {
            $( #[doc = $help] $variant, )*
        }

        impl $type {
            /// All of them, with a line of help each.
            pub const CHOICES: &'static [Choice] = &[
                $( Choice { name: $name, help: $help }, )*
            ];

            /// Its name in settings.
            pub fn name(self) -> &'static str {
                match self {
                    $( Self::$variant => $name, )*
                }
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.name())
            }
        }

        impl std::str::FromStr for $type {
            type Err = String;

            fn from_str(name: &str) -> Result<Self, String> {
                match name {
                    $( $name => Ok(Self::$variant), )*
                    other => Err(format!("there is no {other}; use one of {}", [$($name),*].join(", "))),
                }
            }
        }

        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.name())
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let name = std::borrow::Cow::<str>::deserialize(deserializer)?;
                name.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}
pub(crate) use names;
