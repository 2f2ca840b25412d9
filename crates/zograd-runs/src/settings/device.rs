//! Which of the devices of a machine computes.

use crate::error::{Result, refuse};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use zograd_ranks::Launched;

/// The word for [`DeviceChoice::LocalRank`].
const LOCAL_RANK: &str = "local-rank";

/// Which of the devices of a machine computes, as a setting says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[non_exhaustive]
pub enum DeviceChoice {
    /// The one with this number, from 0.
    Number(usize),
    /// Of the ranks of a machine each takes another one: the number of the rank among them.
    LocalRank,
}

impl DeviceChoice {
    /// The number of the device, for a process that was started like this; one that was started alone is the only rank.
    ///
    /// # Errors
    /// The launcher does not number the ranks of a machine.
    pub fn number(self, launched: Option<Launched>) -> Result<usize> {
        match (self, launched) {
            (Self::Number(number), _) => Ok(number),
            (Self::LocalRank, None) => Ok(0),
            (Self::LocalRank, Some(launched)) => match launched.local_rank {
                Some(rank) => Ok(rank),
                None => refuse!(
                    "`device = local-rank`: the launcher does not say which of the ranks of its machine this one is; set \
                     CUDA_VISIBLE_DEVICES for each rank instead"
                ),
            },
        }
    }
}

impl FromStr for DeviceChoice {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        match (text, text.parse()) {
            (LOCAL_RANK, _) => Ok(Self::LocalRank),
            (_, Ok(number)) => Ok(Self::Number(number)),
            // what PyTorch calls a device is a backend here
            _ => Err(format!(
                "use a number from 0, or {LOCAL_RANK}; what computes is said by `backend`"
            )),
        }
    }
}

impl TryFrom<String> for DeviceChoice {
    type Error = String;

    fn try_from(text: String) -> std::result::Result<Self, String> {
        text.parse()
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::LocalRank => f.write_str(LOCAL_RANK),
        }
    }
}

impl From<DeviceChoice> for String {
    fn from(choice: DeviceChoice) -> Self {
        choice.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_of_a_machine_take_devices_of_their_own() {
        let launched = |variables: &[(&str, &str)]| {
            let find = |name: &str| variables.iter().find(|(known, _)| *known == name);
            Launched::by(|name| find(name).map(|(_, value)| (*value).to_owned()))
        };
        let size = ("OMPI_COMM_WORLD_SIZE", "8");
        let open = launched(&[size, ("OMPI_COMM_WORLD_LOCAL_RANK", "3")]);
        let silent = launched(&[("PMI_SIZE", "2")]);
        let choice = |text: &str| text.parse::<DeviceChoice>().expect(text);
        for (text, launched, number) in [
            ("local-rank", open, 3),
            // alone on its machine, or started without a launcher
            ("local-rank", None, 0),
            ("1", open, 1),
            ("1", silent, 1),
            ("0", None, 0),
        ] {
            assert_eq!(choice(text).number(launched).expect(text), number);
            assert_eq!(choice(text).to_string(), text);
        }
        let error = choice("local-rank").number(silent).expect_err("no number");
        assert!(
            error.to_string().contains("CUDA_VISIBLE_DEVICES"),
            "{error}"
        );
        for wrong in ["", "-1", "gpu0", "cuda", "local"] {
            let error = wrong.parse::<DeviceChoice>().expect_err(wrong);
            assert!(
                error.starts_with("use a number from 0, or local-rank; what computes"),
                "{error}"
            );
        }
    }
}
