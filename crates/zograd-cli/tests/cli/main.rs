//! The real binary in scratch folders, one file a theme.

mod adapters;
mod align;
mod baselines;
mod budgets;
#[cfg(unix)]
mod cases;
mod chats;
mod columns;
mod compare;
mod environment;
mod errors;
mod families;
#[cfg(unix)]
mod first_model;
mod generate;
#[cfg(unix)]
mod hostile;
mod informed;
mod integrity;
mod kept;
mod killed;
mod machine;
mod memory;
mod other_names;
mod own_data;
mod per_example;
mod predict;
mod presets;
mod reference;
mod report;
#[cfg(unix)]
mod rewards;
mod runs;
mod support;
mod sweep;
mod tail;
mod tasks;
mod train;
mod trajectory;
