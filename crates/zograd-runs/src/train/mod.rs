//! Training: a run from its settings to its summary, and a run resumed.

mod follow;
mod gradient;
mod handed;
mod head_fit;
mod linear_probe;
mod option_bias;
mod origin;
mod prepare;
mod rebuild;
mod recorder;
mod run;
mod start;
mod work;
mod zeroth_order;

pub(crate) use follow::FollowJob;
pub(crate) use handed::Handed;
pub(crate) use option_bias::shifted;
pub(crate) use prepare::Prepared;
pub(crate) use rebuild::Rebuild;
pub(crate) use run::TrainJob;
pub(crate) use start::start_folder;
