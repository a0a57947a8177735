//! `scalelaw plan`: what a sweep will run, and what that will cost.

use std::io::Write;

use anyhow::Result;
use scalelaw_plan::cost::limits::check_limits;
use tracing::{info, warn};

use crate::args::{PlanArgs, Shared};
use crate::corpora::Corpora;
use crate::speed::{self, Placement};
use crate::sweep_file::expand;
use crate::terminal::width;
use crate::verbs::power;
use crate::{facts, learning_rate, paths, sweep_file};

pub fn plan(shared: &Shared, args: &PlanArgs) -> Result<()> {
    let sweep = sweep_file::load(&args.sweep.sweep, &args.sweep.overrides)?;
    let cache = paths::cache(shared)?;
    let corpora = Corpora::open(&sweep, &cache)?;
    let mut placement = Placement::choose(&args.device)?;
    if let Some(note) = &placement.note {
        info!("{note}");
    }
    let mut facts = facts::gather(&corpora, &placement, &shared.runs.join(&sweep.name))?;
    facts.lr_rule = learning_rate::named_rule(&sweep)?;
    // A wrong sweep is told before anything is measured.
    let mut plan = placement.plan(&sweep, &mut facts)?;
    if let Some(law) = &args.power {
        let n_skills = sweep.spec.measure.as_ref().map_or(0, |measure| measure.skills.len());
        return power::show(&plan, &shared.runs.join(&sweep.name), n_skills, args, law);
    }
    if !args.no_speed {
        facts.speed = Some(speed::measured(&placement, &cache)?);
        plan = expand(&sweep, &facts)?;
    }
    let mut stdout = anstream::stdout().lock();
    if args.json {
        writeln!(stdout, "{}", serde_json::to_string_pretty(&plan)?)?;
    } else if args.resolved {
        for planned in &plan.runs {
            writeln!(stdout, "# {}\n{}", planned.run.folder_name(), toml::to_string(&planned.run)?)?;
        }
    } else {
        write!(stdout, "{}", scalelaw_report::terminal::plan::plan(&plan, width()))?;
    }
    if let Err(over) = check_limits(&sweep.spec, &plan.total) {
        warn!("`run` will refuse: {over}");
    }
    Ok(())
}
