//! How many runs train at once, and with how many threads each. Packing does not change the weights.

use scalelaw_schema::device::DeviceKind;
use scalelaw_schema::plan::Packing;
use scalelaw_schema::run::RunSpec;
use scalelaw_schema::text::{bytes, counted};

use crate::cost::memory::memory_bytes;

/// What there is to train on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Machine {
    /// Kind of the device.
    pub kind: DeviceKind,
    /// Cores of the processor, at least 1.
    pub cores: usize,
    /// Memory of the device, bytes, if known.
    pub memory_bytes: Option<u64>,
    /// Runs at once that the user asked for.
    pub asked: Option<usize>,
}

/// Packs runs onto a machine.
///
/// On a CPU one single-threaded run per core has the highest total throughput (a run that has all cores waits at the
/// end of each operation for the slowest of them). Fewer train at once if that many would not fit into memory with
/// whole batches, or if there are fewer runs than cores; then the runs share the cores. On a GPU one run at a time:
/// how many small ones a card can usefully train at once has not been measured.
pub fn pack<'a>(runs: impl IntoIterator<Item = &'a RunSpec>, machine: &Machine) -> Packing {
    let cores = machine.cores.max(1);
    let (mut n_runs, mut largest) = (0, 0.0f64);
    for run in runs {
        n_runs += 1;
        for phase in &run.train.phases {
            largest = largest.max(memory_bytes(&run.train.model, phase.context_len, phase.batch_sequences));
        }
    }
    let that_fit = match machine.memory_bytes {
        Some(memory) if largest > 0.0 => ((memory as f64 / largest) as usize).max(1),
        _ => usize::MAX,
    };
    let (slots, why) = match (machine.asked, machine.kind) {
        (Some(asked), _) => (asked.max(1), "as requested".to_string()),
        (None, DeviceKind::Cpu) if that_fit < cores.min(n_runs) => {
            (that_fit, format!("the largest run takes {} of memory", bytes(largest)))
        }
        (None, DeviceKind::Cpu) if (1..cores).contains(&n_runs) => {
            (n_runs, format!("{} on {}", counted(n_runs, "run"), counted(cores, "core")))
        }
        (None, DeviceKind::Cpu) => (cores, "one run per core is fastest in total".to_string()),
        (None, _) => (
            1,
            "a GPU trains one run at a time (small models leave it partly idle: try `--slots`)".to_string(),
        ),
    };
    Packing { slots, threads: (cores / slots).max(1), why }
}

#[cfg(test)]
mod tests {
    use scalelaw_schema::source::{Layers, TomlText};
    use scalelaw_schema::sweep::SweepSpec;

    use super::*;
    use crate::facts::PlanFacts;

    /// `n` runs that differ only in their seed.
    fn runs(n: usize) -> Vec<RunSpec> {
        let seeds: Vec<String> = (0..n).map(|seed| seed.to_string()).collect();
        let text = format!(
            "[grid]\nkind = \"product\"\nhorizon = {{ steps = 10 }}\n[model]\nd-model = 64\nn-layer = 2\n\
             [data]\ntokenizer = \"bytes\"\nmixture = {{ text = 1 }}\n[train]\nseed = [{}]\n",
            seeds.join(", ")
        );
        let mut layers = Layers::default();
        layers.push(TomlText { name: "a.toml".to_string(), text }).unwrap();
        let sweep: SweepSpec = layers.parse().unwrap();
        let plan = crate::expand(&sweep, &PlanFacts::draft(&sweep)).unwrap();
        plan.runs.into_iter().map(|planned| planned.run).collect()
    }

    const CPU: Machine = Machine { kind: DeviceKind::Cpu, cores: 8, memory_bytes: None, asked: None };

    fn packed(n_runs: usize, machine: Machine) -> (usize, usize) {
        let Packing { slots, threads, .. } = pack(&runs(n_runs), &machine);
        (slots, threads)
    }

    #[test]
    fn a_processor_takes_one_run_per_core_and_shares_its_cores_among_fewer() {
        for (n_runs, expected) in
            [(20, (8, 1)), (8, (8, 1)), (7, (7, 1)), (4, (4, 2)), (3, (3, 2)), (1, (1, 8))]
        {
            assert_eq!(packed(n_runs, CPU), expected, "{n_runs} runs on 8 cores");
        }
    }

    #[test]
    fn memory_bounds_the_runs_at_once_and_one_is_always_tried() {
        let run = &runs(1)[0];
        let one = memory_bytes(&run.train.model, 256, 16);
        for (fit, expected) in [(0.5, (1, 8)), (1.0, (1, 8)), (3.9, (3, 2)), (8.0, (8, 1)), (100.0, (8, 1))] {
            let machine = Machine { memory_bytes: Some((fit * one).ceil() as u64), ..CPU };
            assert_eq!(packed(20, machine), expected, "{fit} runs fit");
        }
        let why = pack(&runs(20), &Machine { memory_bytes: Some(one.ceil() as u64), ..CPU }).why;
        assert!(why.contains("the largest run takes"), "{why}");
    }

    #[test]
    fn a_gpu_takes_one_run_and_a_request_overrides_the_rule() {
        let gpu = Machine { kind: DeviceKind::DiscreteGpu, ..CPU };
        assert_eq!(packed(20, gpu), (1, 8));
        for machine in [gpu, CPU] {
            assert_eq!(packed(20, Machine { asked: Some(3), ..machine }), (3, 2));
            assert_eq!(packed(1, Machine { asked: Some(16), ..machine }), (16, 1));
        }
    }
}
