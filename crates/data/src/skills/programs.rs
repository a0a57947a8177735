//! Small programs over numbers mod 100: assignments, statements (some repeated by a loop), one `print`. Half of the
//! documents show the trace before the result, the other half only the result, as items do.

use scalelaw_schema::generator::ProgramTask;
use scalelaw_schema::score::FactSpace;
use scalelaw_schema::skill::TokenClass;

use crate::error::skills::{TaskError, check_range};
use crate::skills::draws::{Draws, Purpose, key_of};
use crate::skills::instances::draw_in;
use crate::skills::task::{Generate, Labelled, Part, Question, SkillEntropy, entropy_of};

const MODULUS: u64 = 100;
const OPERATIONS: [char; 3] = ['+', '-', '*'];

/// The second operand, if it is not a variable.
const LITERALS: std::ops::RangeInclusive<u64> = 2..=9;
const N_LITERALS: u64 = 8;

/// A statement runs once, or in a loop of 2 or 3 rounds.
const MAX_ROUNDS: u64 = 3;

/// Programs from which the distribution of results is estimated: chance is then known to 0.0005.
const SAMPLE: u64 = 1 << 16;

#[derive(Debug)]
pub(crate) struct Programs {
    variables: u64,
    max_statements: u64,
    key: u64,
    /// Share of the most frequent result, and the entropy of results, nats.
    chance: f64,
    answer: f64,
}

#[derive(Debug, Clone, PartialEq)]
struct Program {
    initial: Vec<u64>,
    statements: Vec<Statement>,
    printed: usize,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Statement {
    rounds: u64,
    target: usize,
    left: usize,
    operation: char,
    right: Operand,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Operand {
    Variable(usize),
    Literal(u64),
}

impl Programs {
    pub(crate) fn new(task: &ProgramTask, key: u64) -> Result<Programs, TaskError> {
        let ProgramTask { variables, max_statements } = *task;
        check_range("variables", variables, 1, 26)?;
        check_range("max-statements", max_statements, 1, 100)?;
        let mut programs = Programs { variables, max_statements, key, chance: 0.0, answer: 0.0 };
        let mut counts = [0_u64; MODULUS as usize];
        // With a fixed key, so that chance does not depend on the seed.
        let mut draws = Draws::new(key_of(0), Purpose::Facts, 0);
        for _ in 0..SAMPLE {
            let (_, result) = run(&programs.draw(&mut draws));
            counts[result as usize] += 1;
        }
        let shares = counts.map(|count| count as f64 / SAMPLE as f64);
        programs.chance = shares.iter().copied().fold(0.0, f64::max);
        programs.answer = entropy_of(shares);
        Ok(programs)
    }

    fn draw(&self, draws: &mut Draws) -> Program {
        let v = self.variables;
        let initial = (0..v).map(|_| draws.below(MODULUS)).collect();
        let n_statements = 1 + draws.below(self.max_statements);
        let statement = |draws: &mut Draws| Statement {
            rounds: 1 + draws.below(MAX_ROUNDS),
            target: draws.below(v) as usize,
            left: draws.below(v) as usize,
            operation: OPERATIONS[draws.below(3) as usize],
            right: match draws.below(v + N_LITERALS) {
                variable if variable < v => Operand::Variable(variable as usize),
                literal => Operand::Literal(LITERALS.start() + literal - v),
            },
        };
        let statements = (0..n_statements).map(|_| statement(draws)).collect();
        Program { initial, statements, printed: draws.below(v) as usize }
    }

    fn draw_in(&self, part: Part, draws: &mut Draws) -> Program {
        draw_in(part, draws, |draws| self.draw(draws), |program| written(program).text.into_bytes())
    }
}

/// The program's text, including the `print`.
fn written(program: &Program) -> Labelled {
    let mut text = Labelled::default();
    for (variable, number) in program.initial.iter().enumerate() {
        text.key(&name(variable).to_string());
        text.template("=");
        text.key(&number.to_string());
        text.template("\n");
    }
    for statement in &program.statements {
        if statement.rounds > 1 {
            text.template("for ");
            text.key(&statement.rounds.to_string());
            text.template(": ");
        }
        text.key(&name(statement.target).to_string());
        text.template("=");
        let right = match statement.right {
            Operand::Variable(variable) => name(variable).to_string(),
            Operand::Literal(number) => number.to_string(),
        };
        text.key(&format!("{}{}{right}", name(statement.left), statement.operation));
        text.template("\n");
    }
    text.template("print ");
    text.key(&name(program.printed).to_string());
    text.template("\n");
    text
}

fn name(variable: usize) -> char {
    char::from(b'a' + variable as u8)
}

/// The value of each statement's target after it, and what is printed.
fn run(program: &Program) -> (Vec<u64>, u64) {
    let mut memory = program.initial.clone();
    let mut trace = Vec::new();
    for statement in &program.statements {
        for _ in 0..statement.rounds {
            let a = memory[statement.left];
            let b = match statement.right {
                Operand::Variable(variable) => memory[variable],
                Operand::Literal(number) => number,
            };
            memory[statement.target] = match statement.operation {
                '+' => (a + b) % MODULUS,
                '-' => (a + MODULUS - b) % MODULUS,
                _ => a * b % MODULUS,
            };
        }
        trace.push(memory[statement.target]);
    }
    (trace, memory[program.printed])
}

/// Appends the result, as in documents and items.
fn write_result(result: u64, text: &mut Labelled) {
    text.template(">");
    text.answer(&result.to_string());
}

impl Generate for Programs {
    fn document(&self, part: Part, idx: u64) -> Labelled {
        let mut draws = Draws::new(self.key, part.into(), idx);
        let program = self.draw_in(part, &mut draws);
        let (trace, result) = run(&program);
        let mut text = written(&program);
        if draws.below(2) == 1 {
            for (statement, value) in program.statements.iter().zip(trace) {
                text.template("#");
                text.push(TokenClass::Step, &format!("{}={value}", name(statement.target)));
                text.template("\n");
            }
        }
        write_result(result, &mut text);
        text.template("\n");
        text
    }

    fn question(&self, idx: u64) -> Question {
        let mut draws = Draws::new(self.key, Purpose::Questions, idx);
        let program = self.draw_in(Part::HeldOut, &mut draws);
        let (_, result) = run(&program);
        let mut text = written(&program);
        write_result(result, &mut text);
        let group = Some(format!("statements={}", program.statements.len()));
        Question { text, group, chance: self.chance }
    }

    fn n_questions(&self) -> Option<u64> {
        None
    }

    fn facts(&self) -> Option<FactSpace> {
        None
    }

    /// Of an item over all instances, held out or not: the numbers, the number of statements, each statement and the
    /// printed variable. The entropy of results is estimated from a sample.
    fn entropy(&self) -> SkillEntropy {
        let v = self.variables as f64;
        let forms = MAX_ROUNDS as f64 * v * v * 3.0 * (v + N_LITERALS as f64);
        let mean_statements = (1.0 + self.max_statements as f64) / 2.0;
        SkillEntropy {
            facts: 0.0,
            key: v * (MODULUS as f64).ln()
                + (self.max_statements as f64).ln()
                + mean_statements * forms.ln()
                + v.ln(),
            answer: self.answer,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn a_program_by_hand_prints_what_it_must() {
        let statement =
            |rounds, target, left, operation, right| Statement { rounds, target, left, operation, right };
        let program = Program {
            initial: vec![7, 40],
            statements: vec![
                statement(1, 0, 1, '*', Operand::Variable(0)), // a = 280 = 80
                statement(3, 1, 1, '-', Operand::Literal(9)),  // b = 40 - 27 = 13
                statement(2, 0, 0, '+', Operand::Variable(1)), // a = 80 + 26 = 106 = 6
            ],
            printed: 0,
        };
        assert_eq!(run(&program), (vec![80, 13, 6], 6));
        let expected = "a=7\nb=40\na=b*a\nfor 3: b=b-9\nfor 2: a=a+b\nprint a\n";
        assert_eq!(written(&program).text, expected);
    }

    #[test]
    fn the_entropy_of_a_key_is_that_of_a_full_count() {
        // One variable, one or two statements: 100 numbers, 81 forms of a statement. The text tells every
        // choice, so as many texts as ways to choose, and the entropy is that of the choices.
        let programs = Programs::new(&ProgramTask { variables: 1, max_statements: 2 }, 0).unwrap();
        let mut texts: BTreeMap<String, f64> = BTreeMap::new();
        let statements: Vec<Statement> = (1..=3)
            .flat_map(|rounds| OPERATIONS.map(|operation| (rounds, operation)))
            .flat_map(|(rounds, operation)| {
                let literals = LITERALS.map(Operand::Literal).chain([Operand::Variable(0)]);
                literals.map(move |right| Statement { rounds, target: 0, left: 0, operation, right })
            })
            .collect();
        assert_eq!(statements.len(), 81);
        for initial in 0..MODULUS {
            let mut add = |statements: Vec<Statement>, p: f64| {
                let program = Program { initial: vec![initial], statements, printed: 0 };
                *texts.entry(written(&program).text).or_default() += p / 200.0;
            };
            for &first in &statements {
                add(vec![first], 1.0 / 81.0);
                for &second in &statements {
                    add(vec![first, second], 1.0 / (81.0 * 81.0));
                }
            }
        }
        assert_eq!(texts.len(), 100 * (81 + 81 * 81));
        let counted = entropy_of(texts.into_values());
        assert!((counted - programs.entropy().key).abs() < 1e-9, "{counted} {:?}", programs.entropy());
    }
}
