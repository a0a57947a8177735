//! The choice of validation text in a sweep whose runs were evaluated on several.

use scalelaw_schema::plan::Plan;
use scalelaw_schema::table::LossTable;

use super::{ValidationConclusion, ValidationMix, validation};
use crate::error::FindingsError;
use crate::skills::SkillSpec;
use crate::texts::{Absences, Texts, is_of};

/// What a wrong validation text costs, for the sets and for the uses of the sweep.
pub(crate) fn answer(
    plan: &Plan,
    texts: &Texts,
    spec: &SkillSpec,
    absent: &mut Absences,
) -> Result<Option<ValidationConclusion>, FindingsError> {
    let sets = texts.sets();
    let found = validation(&sets, &asked_mixtures(plan, &sets, absent), spec);
    absent.unless_refused("validation", found)
}

/// The uses of a sweep as mixtures of its validation sets; a use with a text that is no set is left out.
fn asked_mixtures(plan: &Plan, sets: &[LossTable], absent: &mut Absences) -> Vec<ValidationMix> {
    let mut asked = Vec::new();
    for (name, weights) in &plan.uses {
        let sum: f64 = weights.values().sum();
        let place = |text: &String| sets.iter().position(|set| is_of(&set.loss_name, text));
        match weights.keys().find(|text| place(text).is_none()) {
            Some(unknown) => {
                absent.add(format!("validation: {name}"), format!("no run was evaluated on `{unknown}`"))
            }
            None => {
                let mut of_sets = vec![0.0; sets.len()];
                for (text, weight) in weights {
                    if let Some(place) = place(text) {
                        of_sets[place] += weight / sum;
                    }
                }
                asked.push(ValidationMix { name: name.clone(), weights: of_sets });
            }
        }
    }
    asked
}
