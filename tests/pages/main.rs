//! The pages as a person reads them: in the order in which they link to each other, on the one stage of `make dev`, in
//! bash and in zsh; and `make dev` itself.

#![cfg(test)]

mod dev;
mod journey;
mod shown;
mod stage;
