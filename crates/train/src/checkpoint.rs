//! Checkpoints and final weights, as safetensors files.
//!
//! A checkpoint holds every weight under its name and its moments under `first/…` and `second/…`, and in the
//! header's metadata the progress of the run and a checksum over all of it. The last two are kept: should
//! the newest be damaged, the one before it is taken. A trunk also keeps those that its branches begin at.

use std::collections::HashMap;
use std::convert::Infallible;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use burn::tensor::{Device, Tensor};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use scalelaw_schema::folder::{CHECKPOINT_DIR, WEIGHTS_SAFETENSORS, checkpoint_name, checkpoint_step};
use scalelaw_schema::model::ModelSpec;
use scalelaw_schema::run_id::RunId;
use scalelaw_schema::{SCHEMA_VERSION, canonical};
use serde::{Deserialize, Serialize};

use crate::error::{CheckpointError, TensorMismatch, TrainError};
use crate::models::layout::{self, TensorSpec};
use crate::models::{Model, to_device, to_host};
use crate::optimizer::Moments;
use crate::steps::{Progress, TrainState};

/// Checkpoints that stay.
const KEPT: usize = 2;
/// Key of the header's metadata under which the description stands.
const HEAD_KEY: &str = "scalelaw";
/// Prefixes of the tensors' names.
const PARTS: [&str; 3] = ["", "first/", "second/"];

/// What a checkpoint says of itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CheckpointHead {
    schema_version: u32,
    run: RunId,
    progress: Progress,
    /// blake3 over the other fields and then, in the order of the model, each tensor's name and bytes.
    blake3: String,
}

/// Checkpoints of one run.
#[derive(Debug, Clone)]
pub struct Checkpoints {
    dir: PathBuf,
    run: RunId,
    /// Steps whose checkpoints stay for branches.
    keep_steps: Vec<u64>,
}

impl Checkpoints {
    /// Those in a run's folder; nothing is touched yet.
    pub fn of(run_folder: &Path, run: &RunId) -> Checkpoints {
        Checkpoints { dir: run_folder.join(CHECKPOINT_DIR), run: run.clone(), keep_steps: Vec::new() }
    }

    /// The same, but those of `keep_steps` stay, also when the run has ended.
    pub fn keeping(self, keep_steps: &[u64]) -> Checkpoints {
        Checkpoints { keep_steps: keep_steps.to_vec(), ..self }
    }

    /// Those of another run of the same sweep: its folder lies beside this one, and its name ends with its id.
    ///
    /// # Errors
    /// Why there are none.
    pub fn of_sibling(run_folder: &Path, run: &RunId) -> Result<Checkpoints, CheckpointError> {
        fs::read_dir(run_folder.parent().unwrap_or(Path::new(".")))?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .find(|path| path.to_string_lossy().ends_with(&format!("-{run}")))
            .map(|path| Checkpoints::of(&path, run))
            .ok_or(CheckpointError::NoFolder)
    }

    /// Saves the state, then removes all but the last two and those that are kept.
    ///
    /// # Errors
    /// `File`, or what the device says when it is read.
    pub fn save(&self, state: &TrainState) -> Result<(), TrainError> {
        let specs = state.model.specs();
        let parts = [state.model.weights(), &state.moments.first, &state.moments.second];
        let mut tensors = Vec::new();
        for (prefix, part) in PARTS.iter().zip(parts) {
            for (spec, tensor) in specs.iter().zip(part) {
                tensors.push((format!("{prefix}{}", spec.name), spec.saved_shape(), to_host(tensor, spec)?));
            }
        }
        let mut head = CheckpointHead {
            schema_version: SCHEMA_VERSION,
            run: self.run.clone(),
            progress: state.progress.clone(),
            blake3: String::new(),
        };
        head.blake3 =
            checksum(&head, tensors.iter().map(|(name, _, values)| (&**name, bytemuck::cast_slice(values))));
        let text = serde_json::to_string(&head).expect("a head is plain data");
        write_safetensors(&self.path(state.progress.step), &tensors, (HEAD_KEY, text))?;
        for (step, path) in self.steps()?.into_iter().rev().skip(KEPT) {
            if !self.keep_steps.contains(&step) {
                // One that cannot be removed is in nobody's way.
                let _ = fs::remove_file(path);
            }
        }
        Ok(())
    }

    /// The newest state that is whole. A damaged one is passed over with a warning.
    ///
    /// # Errors
    /// `File` where the folder cannot be read.
    pub fn load_newest(
        &self,
        model: &ModelSpec,
        device: &Device,
        warn: &mut dyn FnMut(String),
    ) -> Result<Option<TrainState>, TrainError> {
        for (_, path) in self.steps()?.into_iter().rev() {
            match self.load(&path, model, device) {
                Ok(state) => return Ok(Some(state)),
                Err(why) => warn(format!(
                    "checkpoint `{}` cannot be used, {why}; the run goes back to the one before it, or to its start",
                    path.display()
                )),
            }
        }
        Ok(None)
    }

    /// The state after `step` steps.
    ///
    /// # Errors
    /// Why there is none.
    pub fn load_step(
        &self,
        step: u64,
        model: &ModelSpec,
        device: &Device,
    ) -> Result<TrainState, CheckpointError> {
        self.load(&self.path(step), model, device)
    }

    /// Removes what only a run that goes on needs: all but the checkpoints that are kept for branches, and the folder
    /// with them where there are none.
    ///
    /// # Errors
    /// `File`.
    pub fn remove_unkept(&self) -> Result<(), TrainError> {
        let kept: Vec<PathBuf> = self.keep_steps.iter().map(|step| self.path(*step)).collect();
        if !kept.iter().any(|path| path.exists()) {
            return match fs::remove_dir_all(&self.dir) {
                Err(e) if e.kind() != ErrorKind::NotFound => Err(TrainError::file("remove", &self.dir, e)),
                _ => Ok(()),
            };
        }
        let failed = |e| TrainError::file("clear", &self.dir, e);
        for entry in fs::read_dir(&self.dir).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            if !kept.contains(&path) {
                fs::remove_file(path).map_err(failed)?;
            }
        }
        Ok(())
    }

    fn path(&self, step: u64) -> PathBuf {
        self.dir.join(checkpoint_name(step))
    }

    /// Checkpoints by step, the oldest first.
    fn steps(&self) -> Result<Vec<(u64, PathBuf)>, TrainError> {
        let mut steps: Vec<(u64, PathBuf)> = scalelaw_disk::list(&self.dir)?
            .into_iter()
            .filter_map(|path| {
                let step = checkpoint_step(path.file_name()?.to_str()?)?;
                Some((step, path))
            })
            .collect();
        steps.sort();
        Ok(steps)
    }

    fn load(&self, path: &Path, model: &ModelSpec, device: &Device) -> Result<TrainState, CheckpointError> {
        let bytes = fs::read(path)?;
        let (_, metadata) = SafeTensors::read_metadata(&bytes)?;
        let text = metadata.metadata().as_ref().and_then(|map| map.get(HEAD_KEY));
        let head: CheckpointHead =
            text.and_then(|text| serde_json::from_str(text).ok()).ok_or(CheckpointError::NoHead)?;
        let file = SafeTensors::deserialize(&bytes)?;
        let specs = layout::tensors(model);
        let mut tensors = Vec::new();
        for prefix in PARTS {
            for spec in &specs {
                let name = format!("{prefix}{}", spec.name);
                let view = file.tensor(&name)?;
                tensors.push((name, spec, view));
            }
        }
        let found = CheckpointHead { blake3: String::new(), ..head.clone() };
        if checksum(&found, tensors.iter().map(|(name, _, view)| (&**name, view.data()))) != head.blake3 {
            return Err(CheckpointError::WrongChecksum);
        }
        if head.run != self.run {
            return Err(CheckpointError::OtherRun(head.run));
        }
        let mut values = tensors.iter().map(|(name, spec, view)| {
            values_of(view, spec).map_err(|why| CheckpointError::OtherTensor { name: name.clone(), why })
        });
        let mut held =
            |n: usize| -> Result<Vec<Vec<f32>>, CheckpointError> { values.by_ref().take(n).collect() };
        let (weights, first, second) = (held(specs.len())?, held(specs.len())?, held(specs.len())?);
        let on_device = |part: Vec<Vec<f32>>| -> Vec<Tensor<2>> {
            part.into_iter().zip(&specs).map(|(values, spec)| to_device(values, spec, device)).collect()
        };
        let mut weights = weights.into_iter();
        let Ok(model) =
            Model::build(model, device, |_| Ok::<_, Infallible>(weights.next().unwrap_or_default()));
        let moments = Moments { first: on_device(first), second: on_device(second) };
        Ok(TrainState { model, moments, progress: head.progress })
    }
}

/// Writes `weights.safetensors`, with names and shapes as in `transformers`' Llama.
///
/// # Errors
/// `File`, or what the device says when it is read.
pub fn save_weights(run_folder: &Path, model: &Model) -> Result<(), TrainError> {
    let mut tensors = Vec::new();
    for (spec, tensor) in model.specs().iter().zip(model.weights()) {
        tensors.push((spec.name.clone(), spec.saved_shape(), to_host(tensor, spec)?));
    }
    let format = ("format", "pt".to_string());
    write_safetensors(&run_folder.join(WEIGHTS_SAFETENSORS), &tensors, format)
}

/// Reads `weights.safetensors`.
///
/// # Errors
/// `File`, `Corrupt`.
pub fn load_weights(run_folder: &Path, model: &ModelSpec, device: &Device) -> Result<Model, TrainError> {
    let path = run_folder.join(WEIGHTS_SAFETENSORS);
    let Some(bytes) = scalelaw_disk::read(&path)? else {
        let why = "is missing".to_string();
        let hint = "a run that is not finished, or has `keep = \"none\"`, leaves no weights";
        return Err(TrainError::Corrupt { path, why, hint });
    };
    let corrupt = |why: String| TrainError::Corrupt {
        path: path.clone(),
        why,
        hint: "the weights are lost: delete the run's record.json to train it again",
    };
    let file = SafeTensors::deserialize(&bytes).map_err(|e| corrupt(format!("is damaged ({e})")))?;
    Model::build(model, device, |spec| {
        let view = file.tensor(&spec.name).map_err(|e| corrupt(format!("is damaged ({e})")))?;
        values_of(&view, spec).map_err(|why| corrupt(format!("has a tensor `{}` that {why}", spec.name)))
    })
}

fn values_of(view: &TensorView, spec: &TensorSpec) -> Result<Vec<f32>, TensorMismatch> {
    if view.dtype() != Dtype::F32 || view.shape() != spec.saved_shape() {
        return Err(TensorMismatch {
            found: view.dtype(),
            found_shape: view.shape().to_vec(),
            expected_shape: spec.saved_shape(),
        });
    }
    // The bytes of a file need not be aligned.
    Ok(bytemuck::pod_collect_to_vec(view.data()))
}

fn checksum<'a>(head: &CheckpointHead, tensors: impl Iterator<Item = (&'a str, &'a [u8])>) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(canonical::to_canonical_json(head).as_bytes());
    for (name, bytes) in tensors {
        hasher.update(name.as_bytes());
        hasher.update(bytes);
    }
    hasher.finalize().to_hex().to_string()
}

fn write_safetensors(
    path: &Path,
    tensors: &[(String, Vec<usize>, Vec<f32>)],
    (key, text): (&str, String),
) -> Result<(), TrainError> {
    let views = tensors.iter().map(|(name, shape, values)| {
        let view = TensorView::new(Dtype::F32, shape.clone(), bytemuck::cast_slice(values));
        (name, view.expect("the values fill the shape"))
    });
    let bytes = safetensors::serialize(views, Some(HashMap::from([(key.to_string(), text)])))
        .expect("the tensors have different names");
    Ok(scalelaw_disk::write(path, &bytes)?)
}

#[cfg(test)]
mod tests {
    use scalelaw_schema::model::ModelShape;

    use super::*;
    use crate::testing;

    #[test]
    fn weights_that_were_saved_are_read_to_the_bit_under_the_names_of_transformers() {
        let device = Device::flex();
        let folder = tempfile::tempdir().unwrap();
        let train = testing::train_spec(1);
        let ModelSpec::Transformer(shape) = &train.model;
        let model = testing::model(shape, 0.02, 1, &device);
        save_weights(folder.path(), &model).unwrap();
        let found = load_weights(folder.path(), &train.model, &device).unwrap();
        assert_eq!(testing::weights(&found), testing::weights(&model));
        let bytes = fs::read(folder.path().join(WEIGHTS_SAFETENSORS)).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let (d, f, v) = (shape.d_model, shape.d_ff, shape.vocab_size);
        for (name, dims) in [
            ("model.embed_tokens.weight", &[v, d][..]),
            ("model.layers.1.self_attn.k_proj.weight", &[d, d]),
            ("model.layers.0.mlp.gate_proj.weight", &[f, d]),
            ("model.layers.0.mlp.down_proj.weight", &[d, f]),
            ("model.layers.1.input_layernorm.weight", &[d]),
            ("lm_head.weight", &[v, d]),
        ] {
            assert_eq!(file.tensor(name).unwrap().shape(), dims, "{name}");
        }
    }

    #[test]
    fn weights_that_are_missing_damaged_or_of_another_shape_are_named() {
        let device = Device::flex();
        let folder = tempfile::tempdir().unwrap();
        let train = testing::train_spec(1);
        let ModelSpec::Transformer(mut shape) = train.model.clone();
        let load = |shape: &ModelShape| {
            let model = ModelSpec::Transformer(shape.clone());
            load_weights(folder.path(), &model, &device).unwrap_err().to_string()
        };
        assert!(load(&shape).contains("is missing"));
        save_weights(folder.path(), &testing::model(&shape, 0.02, 1, &device)).unwrap();
        shape.d_ff += 8;
        let error = load(&shape);
        assert!(error.contains("gate_proj") && error.contains("weights.safetensors"), "{error}");
        fs::write(folder.path().join(WEIGHTS_SAFETENSORS), b"garbage").unwrap();
        assert!(load(&shape).contains("damaged"));
    }
}
