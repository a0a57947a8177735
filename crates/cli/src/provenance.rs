//! What records and reports say about this program.

use scalelaw_schema::record::Provenance;
use scalelaw_train::{BURN_FEATURES, BURN_VERSION, Program};

/// Version, commit and host, for the records of trained runs.
pub fn program() -> Program {
    Program {
        version: env!("CARGO_PKG_VERSION").to_string(),
        git_commit: Some(env!("SCALELAW_GIT_COMMIT")).filter(|commit| !commit.is_empty()).map(str::to_string),
        host: sysinfo::System::host_name().unwrap_or_else(|| "unknown".to_string()),
    }
}

/// Name, version and commit, to be shown.
pub fn program_name() -> String {
    let program = program();
    match program.git_commit {
        Some(commit) => format!("scalelaw {} ({})", program.version, &commit[..commit.len().min(10)]),
        None => format!("scalelaw {}", program.version),
    }
}

/// Now, RFC 3339, UTC, in whole seconds.
pub fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// The provenance of a simulated run that began at `started`.
pub fn of_simulation(started: &str) -> Provenance {
    let program = program();
    Provenance {
        version: program.version,
        git_commit: program.git_commit,
        burn: BURN_VERSION.to_string(),
        features: BURN_FEATURES.iter().map(|feature| feature.to_string()).collect(),
        backend: "simulated".to_string(),
        device: "none".to_string(),
        driver: None,
        host: program.host,
        platform: format!("{}-{}", std::env::consts::OS, std::env::consts::ARCH),
        threads: 1,
        started: started.to_string(),
        ended: now(),
    }
}
