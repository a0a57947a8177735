//! The loss that a run is compared with half-way: that of the best finished run of the same budget at that point.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use scalelaw_disk::DiskError;
use scalelaw_schema::canonical::hash12;
use scalelaw_schema::event::EarlyStopThreshold;
use scalelaw_schema::folder::METRICS_JSONL;
use scalelaw_schema::metrics::MetricsRow;
use scalelaw_schema::record::Outcome;
use scalelaw_schema::run::RunSpec;
use scalelaw_schema::run_id::RunId;

use super::ending::read_ending;
use super::listing::run_folders;
use super::run_toml::read_run;

/// Finished runs, grouped by what makes their losses comparable.
#[derive(Debug, Default)]
pub struct Peers {
    finished: HashMap<String, Vec<Peer>>,
}

#[derive(Debug)]
struct Peer {
    run: RunId,
    folder: PathBuf,
    total_steps: u64,
}

impl Peers {
    /// Those in a sweep's folder now. Folders that cannot be read are ignored: they are reported elsewhere.
    ///
    /// # Errors
    /// The sweep's folder cannot be listed.
    pub fn of(sweep_dir: &Path) -> Result<Peers, DiskError> {
        let mut peers = Peers::default();
        for (id, folder) in run_folders(sweep_dir)? {
            if let Ok(Some(found)) = read_ending(&folder, &id)
                && let Ok(run) = read_run(&folder)
            {
                peers.add(&run, &folder, &found.outcome);
            }
        }
        Ok(peers)
    }

    /// Adds a run that has just ended; only a finished one counts.
    pub fn add(&mut self, run: &RunSpec, folder: &Path, outcome: &Outcome) {
        if *outcome != Outcome::Finished {
            return;
        }
        let peer =
            Peer { run: run.id.clone(), folder: folder.to_path_buf(), total_steps: run.train.total_steps() };
        self.finished.entry(budget(run)).or_default().push(peer);
    }

    /// The lowest loss among the peers at the step of the rule of `run`; `None` if it has no rule or no peer. Of equal
    /// losses that of the smaller id.
    pub fn threshold(&self, run: &RunSpec) -> Option<EarlyStopThreshold> {
        let rule = run.early_stop?;
        let losses = self.finished.get(&budget(run))?.iter().filter(|peer| peer.run != run.id);
        losses
            .filter_map(|peer| {
                let loss = rule.loss(&rows(&peer.folder), peer.total_steps)?;
                Some(EarlyStopThreshold { peer: peer.run.clone(), loss })
            })
            .min_by(|a, b| a.loss.total_cmp(&b.loss).then_with(|| a.peer.cmp(&b.peer)))
    }
}

/// What must be equal for losses to be compared at the same share of the steps: text, vocabulary and context, and
/// the IsoFLOP budget or, if there is none, the model and the number of tokens.
fn budget(run: &RunSpec) -> String {
    let train = &run.train;
    let contexts: Vec<usize> = train.phases.iter().map(|phase| phase.context_len).collect();
    match run.cell.budget_flops {
        Some(flops) => hash12(&(&train.mixture, train.model.vocab_size(), contexts, flops)),
        None => hash12(&(&train.mixture, &train.model, contexts, train.tokens())),
    }
}

/// All rows that can be read.
fn rows(folder: &Path) -> Vec<MetricsRow> {
    let bytes = scalelaw_disk::read(&folder.join(METRICS_JSONL)).ok().flatten().unwrap_or_default();
    bytes.split(|&b| b == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;

    use scalelaw_schema::metrics::TRAIN_LOSS;
    use scalelaw_schema::run::EarlyStop;
    use scalelaw_schema::train_spec::TrainSpec;

    use super::*;
    use crate::folder::prepare;
    use crate::folder::testing::{new_run_folder, record_text, run_spec};

    fn with(change: impl Fn(&mut TrainSpec)) -> RunSpec {
        let mut run = run_spec(1);
        change(&mut run.train);
        run.id = RunId::of(&run.train);
        run.early_stop = Some(EarlyStop { at: 0.5, margin: 0.1 });
        run
    }

    /// 200 steps, a row each ten, the loss falling by hundredths.
    fn finished(sweep_dir: &Path, run: &RunSpec, outcome: &str, last_loss: f64) {
        let folder = new_run_folder(sweep_dir, run);
        prepare(&folder, run).unwrap();
        let steps = run.train.total_steps();
        let rows: String = (1..=steps / 10)
            .map(|idx| {
                let loss = last_loss + 0.01 * (steps / 10 - idx) as f64;
                let values = BTreeMap::from([(TRAIN_LOSS.to_string(), loss)]);
                let row = MetricsRow { step: 10 * idx, tokens: 0, flops: 0.0, wall_seconds: 0.0, values };
                serde_json::to_string(&row).unwrap() + "\n"
            })
            .collect();
        fs::write(folder.join(METRICS_JSONL), rows).unwrap();
        fs::write(folder.join("record.json"), record_text(&run.id, outcome)).unwrap();
    }

    #[test]
    fn the_threshold_is_the_lowest_loss_of_a_finished_run_of_the_same_budget_at_the_same_share_of_its_steps()
    {
        let dir = tempfile::tempdir().unwrap();
        let run = with(|train| train.recipe.lr_peak = 0.5);
        assert_eq!(Peers::of(dir.path()).unwrap().threshold(&run), None);
        let over = r#"{"kind":"finished"}"#;
        let better = with(|train| train.seed = 2);
        finished(dir.path(), &better, over, 3.0);
        finished(dir.path(), &with(|train| train.seed = 3), over, 3.1);
        // These are no peers: diverged, longer, larger, on other text.
        finished(dir.path(), &with(|train| train.seed = 4), r#"{"kind":"diverged","step":190}"#, 1.0);
        finished(dir.path(), &with(|train| train.phases[0].steps = 400), over, 1.0);
        finished(
            dir.path(),
            &with(|train| {
                let scalelaw_schema::model::ModelSpec::Transformer(shape) = &mut train.model;
                shape.n_layer = 3;
            }),
            over,
            1.0,
        );
        finished(dir.path(), &with(|train| train.mixture.sources[0].tokens = "other".to_string()), over, 1.0);
        // At step 100 of 200, ten rows before the end; the window of ten steps holds one row.
        let threshold = Peers::of(dir.path()).unwrap().threshold(&run).unwrap();
        assert_eq!(threshold.peer, better.id);
        assert!((threshold.loss - 3.1).abs() < 1e-12, "{threshold:?}");
        assert_eq!(Peers::of(dir.path()).unwrap().threshold(&RunSpec { early_stop: None, ..run }), None);
    }

    #[test]
    fn runs_of_one_isoflop_budget_are_peers_whatever_their_size() {
        let dir = tempfile::tempdir().unwrap();
        let of_budget = |flops: f64, steps: u64| {
            let mut run = with(|train| train.phases[0].steps = steps);
            run.cell.budget_flops = Some(flops);
            run
        };
        finished(dir.path(), &of_budget(1e12, 400), r#"{"kind":"finished"}"#, 3.0);
        let peers = Peers::of(dir.path()).unwrap();
        // Its row 20 of 40; the window of twenty steps holds two rows.
        let loss = peers.threshold(&of_budget(1e12, 200)).unwrap().loss;
        assert!((loss - 3.205).abs() < 1e-12, "{loss}");
        assert_eq!(peers.threshold(&of_budget(2e12, 200)), None);
    }
}
