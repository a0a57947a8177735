//! The program: reads the command line, calls the crates, turns errors into messages and exit codes.

mod args;
mod conclude;
mod corpora;
mod evaluations;
mod exit;
mod facts;
mod launch;
mod learning_rate;
mod logging;
mod paths;
mod progress;
mod provenance;
mod simulate;
mod speed;
mod sweep_file;
mod terminal;
mod verbs;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;

use tracing::error;

use args::{Cli, Verb};
use logging::Reader;

// Training allocates and frees the same large tensors at each step; this allocator keeps its pages.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    if std::env::var_os("XDG_RUNTIME_DIR").is_none() {
        // A layer of Mesa's looks for a display when the GPUs are listed, and complains where there is none.
        // SAFETY: the first thing the program does; there is no other thread that could read the environment.
        unsafe { std::env::set_var("NODEVICE_SELECT", "1") };
    }
    let cli = Cli::parse();
    let reader = if matches!(cli.verb, Verb::Worker(_)) { Reader::Launcher } else { Reader::Person };
    logging::init(&cli.shared, reader);
    match dispatch(&cli) {
        Ok(code) => ExitCode::from(code),
        Err(error) if is_closed_pipe(&error) => ExitCode::from(exit::OK),
        Err(error) => {
            error!("{}", text_of(&error));
            ExitCode::from(exit::code(&error))
        }
    }
}

fn dispatch(cli: &Cli) -> Result<u8> {
    let shared = &cli.shared;
    match &cli.verb {
        Verb::Plan(args) => verbs::plan::plan(shared, args).map(|()| exit::OK),
        Verb::Run(args) => verbs::run::run(shared, args),
        Verb::Status(args) => verbs::status::status(shared, args).map(|()| exit::OK),
        Verb::Eval(args) => verbs::eval::eval(shared, args).map(|()| exit::OK),
        Verb::Fit(args) => verbs::fit::fit(shared, args).map(|()| exit::OK),
        Verb::Report(args) => verbs::report::report(shared, args).map(|()| exit::OK),
        Verb::Export(args) => verbs::export::export(shared, args).map(|()| exit::OK),
        Verb::Data(verb) => verbs::data::data(shared, verb).map(|()| exit::OK),
        Verb::Doctor(args) => verbs::doctor::doctor(shared, args).map(|()| exit::OK),
        Verb::Init(args) => verbs::init::init(args).map(|()| exit::OK),
        Verb::TrainOne(args) => verbs::train_one::train_one(shared, args),
        Verb::Worker(args) => verbs::worker::worker(shared, args),
    }
}

/// Causes joined by colons, each said once: libraries often repeat their cause in their own text.
fn text_of(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain() {
        let cause = cause.to_string();
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

/// The reader has seen enough (`scalelaw export | head`).
fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<std::io::Error>())
        .any(|cause| cause.kind() == std::io::ErrorKind::BrokenPipe)
}
