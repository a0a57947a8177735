//! Reads a sweep file with its includes and overrides.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use scalelaw_plan::PlanError;
use scalelaw_plan::facts::PlanFacts;
use scalelaw_schema::plan::Plan;
use scalelaw_schema::source::{Layers, TomlText};
use scalelaw_schema::sweep::SweepSpec;

use crate::exit::UsageError;

/// A sweep and the files that it came from.
pub struct SweepFile {
    /// The sweep as written.
    pub spec: SweepSpec,
    /// Its name, which defaults to that of the file.
    pub name: String,
    /// File, includes and overrides, to show the place of an error.
    pub layers: Layers,
    /// The folder that relative paths start at.
    pub base: PathBuf,
}

impl SweepFile {
    /// The same under a name of its own: drawn losses never lie beside trained ones.
    pub fn simulated(self) -> SweepFile {
        SweepFile { name: format!("{}-simulated", self.name), ..self }
    }
}

/// Reads `path`. It overrides its includes, and `overrides` override it.
pub fn load(path: &Path, overrides: &[String]) -> Result<SweepFile> {
    let mut layers = Layers::default();
    push_with_includes(&mut layers, path, &mut Vec::new())?;
    for assignment in overrides {
        layers.push_override(assignment)?;
    }
    let spec: SweepSpec = layers.parse()?;
    let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    let name = spec.name.clone().or(stem).unwrap_or_else(|| "sweep".to_string());
    if !name.chars().all(|c| c.is_alphanumeric() || "-_.".contains(c)) || name.starts_with('.') {
        let why =
            format!("`{name}` cannot be the name of a folder (hint: letters, digits, `-`, `_` and `.`)");
        return Err(layers.error_at("name", why).into());
    }
    let base = path.parent().map_or_else(|| PathBuf::from("."), Path::to_path_buf);
    Ok(SweepFile { spec, name, layers, base })
}

/// The plan of `sweep`; an error shows the place in the sweep file that causes it.
pub fn expand(sweep: &SweepFile, facts: &PlanFacts) -> Result<Plan> {
    let mut spec = sweep.spec.clone();
    spec.name = Some(sweep.name.clone());
    scalelaw_plan::expand(&spec, facts).map_err(|error| match error {
        PlanError::Sweep { path, message } => sweep.layers.error_at(&path, message).into(),
        other => other.into(),
    })
}

/// Pushes the includes in the order written, then the file itself, which overrides them. `open` holds the files that are
/// being read.
fn push_with_includes(layers: &mut Layers, path: &Path, open: &mut Vec<PathBuf>) -> Result<()> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        UsageError(format!(
            "cannot read the sweep file `{}`: {error} (hint: `scalelaw init` writes one)",
            path.display()
        ))
    })?;
    let real = path.canonicalize().with_context(|| format!("cannot resolve `{}`", path.display()))?;
    if open.contains(&real) {
        let chain: Vec<String> = open.iter().map(|path| format!("`{}`", path.display())).collect();
        let why = format!("`{}` includes itself, through {}", path.display(), chain.join(", "));
        return Err(UsageError(why).into());
    }
    open.push(real);
    let text = TomlText { name: path.display().to_string(), text };
    for include in Layers::includes(&text)? {
        let included = path.parent().unwrap_or(Path::new("")).join(&include);
        push_with_includes(layers, &included, open)
            .with_context(|| format!("included by `{}`", path.display()))?;
    }
    open.pop();
    layers.push(text)?;
    Ok(())
}
