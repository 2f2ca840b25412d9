//! Training: a run from its settings to its summary, and a run resumed.

mod align;
mod follow;
mod gradient;
mod handed;
mod head_fit;
mod informed;
mod linear_probe;
mod nearest;
mod option_bias;
mod origin;
mod outlook;
mod prepare;
mod rate;
mod rebuild;
mod recorder;
mod run;
mod start;
mod tail;
mod work;
mod zeroth_order;

pub use align::{AlignReport, BlockShare, MethodAlignment};
pub(crate) use follow::FollowJob;
pub(crate) use handed::Handed;
pub use head_fit::HEAD_FIT;
pub(crate) use option_bias::shifted;
pub(crate) use prepare::Prepared;
pub(crate) use rebuild::Rebuild;
pub(crate) use run::TrainJob;
pub(crate) use start::start_folder;
