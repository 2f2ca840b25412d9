//! The trainer from outside: one program, so that it is linked once. The tests with damaged logs count the allocations
//! of their process, and those on a GPU need a feature; both are programs of their own.

mod adamu;
mod adapters;
mod alignment;
mod answers;
mod calibrated;
mod evaluations;
mod families;
mod gaps;
mod given_up;
mod gradient;
mod head;
mod hizoo;
mod informed;
mod low_rank;
mod pair;
mod per_example;
mod probers;
mod ranks;
mod rewards;
mod seeded;
mod standing;
mod step_rules;
mod steps;
mod tail;
mod tiny;
mod trajectory;
