//! Theorems of a Metamath database with the steps of their proofs as text (the format is that of the Metamath book,
//! Megill and Wheeler 2019, chapter 4 and appendix B).

use std::collections::{HashMap, HashSet};

use crate::error::sources::{BadEntry, EntryError};

/// One text per theorem: `label: hypothesis & hypothesis => statement`, then `proof: step step ...`.
///
/// The steps are the assertions and hypotheses (`h1`, `h2`, ...) that the proof refers to, in its order; a step that
/// is reused is `@` with its number among the saved ones. Dropped are the steps that only build formulas (their
/// statements do not begin with `|-`), and the `|-` of every statement.
pub(crate) fn entries(text: &str) -> Result<Vec<String>, BadEntry> {
    let mut database = Database::default();
    let mut entries = Vec::new();
    let mut tokens = Tokens { text, at: 0 };
    let mut label: Option<&str> = None;
    let read = (|| -> Result<(), EntryError> {
        while let Some(token) = tokens.next()? {
            match token {
                "${" => database.scopes.push(database.active.len()),
                "$}" => {
                    let size = database.scopes.pop().ok_or(EntryError::NoScope)?;
                    database.active.truncate(size);
                }
                "$c" | "$v" | "$d" => drop(tokens.statement()?),
                "$f" | "$e" | "$a" | "$p" => {
                    let no_label = || EntryError::NoLabel { keyword: token.to_string() };
                    let name = label.take().ok_or_else(no_label)?;
                    let statement = tokens.statement()?;
                    let entry = database.add(name, token, &statement)?;
                    entries.extend(entry);
                }
                other if other.starts_with('$') => {
                    return Err(EntryError::NotKeyword { word: other.to_string() });
                }
                other => label = Some(other),
            }
        }
        Ok(())
    })();
    read.map_err(|why| {
        let line = text[..tokens.at].matches('\n').count() as u64 + 1;
        BadEntry { line, why }
    })?;
    Ok(entries)
}

/// The words of a database, without comments.
struct Tokens<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Tokens<'a> {
    fn word(&mut self) -> Option<&'a str> {
        let rest = &self.text[self.at..];
        let start = rest.find(|letter: char| !letter.is_ascii_whitespace())?;
        let rest = &rest[start..];
        let end = rest.find(|letter: char| letter.is_ascii_whitespace()).unwrap_or(rest.len());
        self.at += start + end;
        Some(&rest[..end])
    }

    fn next(&mut self) -> Result<Option<&'a str>, EntryError> {
        loop {
            match self.word() {
                Some("$(") => match self.text[self.at..].find("$)") {
                    Some(end) => self.at += end + 2,
                    None => return Err(EntryError::OpenComment),
                },
                word => return Ok(word),
            }
        }
    }

    /// The words up to `$.`.
    fn statement(&mut self) -> Result<Vec<&'a str>, EntryError> {
        let mut words = Vec::new();
        loop {
            match self.next()? {
                Some("$.") => return Ok(words),
                Some(word) => words.push(word),
                None => return Err(EntryError::OpenStatement),
            }
        }
    }
}

#[derive(Default)]
struct Database<'a> {
    /// Hypotheses in force, in their order.
    active: Vec<Hypothesis<'a>>,
    /// Number of hypotheses where each open scope began.
    scopes: Vec<usize>,
    /// Assertions whose statement begins with `|-`.
    logical: HashSet<&'a str>,
}

#[derive(Clone)]
enum Hypothesis<'a> {
    /// A variable has a type.
    Floating { label: &'a str, variable: &'a str },
    /// Something is assumed.
    Essential { label: &'a str, statement: Vec<&'a str> },
}

const PROVABLE: &str = "|-";

impl<'a> Database<'a> {
    /// Adds a labelled statement and returns its text if it is a theorem with a proof.
    fn add(
        &mut self,
        label: &'a str,
        keyword: &str,
        words: &[&'a str],
    ) -> Result<Option<String>, EntryError> {
        match (keyword, words) {
            ("$f", [_, variable]) => self.active.push(Hypothesis::Floating { label, variable }),
            ("$f", _) => return Err(EntryError::NotTyped { label: label.to_string() }),
            ("$e", _) => self.active.push(Hypothesis::Essential { label, statement: words.to_vec() }),
            (_, words) => {
                let mut halves = words.splitn(2, |word| *word == "$=");
                let statement = halves.next().unwrap_or_default();
                if statement.first() != Some(&PROVABLE) {
                    return Ok(None);
                }
                let steps = match halves.next() {
                    Some(proof) => self.steps(label, statement, proof)?,
                    None => None,
                };
                self.logical.insert(label);
                return Ok(steps.map(|steps| self.text(label, statement, &steps)));
            }
        }
        Ok(None)
    }

    /// The steps of the proof of `label`; `None` if it is unfinished.
    fn steps(
        &self,
        label: &str,
        statement: &[&'a str],
        proof: &[&'a str],
    ) -> Result<Option<Vec<String>>, EntryError> {
        let hypotheses: HashMap<&str, usize> =
            self.essential().enumerate().map(|(idx, (label, _))| (label, idx + 1)).collect();
        let named = |label: &str| match hypotheses.get(label) {
            Some(idx) => Some(format!("h{idx}")),
            None => self.logical.contains(label).then(|| label.to_string()),
        };
        if proof.contains(&"?") {
            return Ok(None);
        }
        if proof.first() != Some(&"(") {
            return Ok(Some(proof.iter().filter_map(|label| named(label)).collect()));
        }
        let end = proof
            .iter()
            .position(|word| *word == ")")
            .ok_or_else(|| EntryError::OpenLabels { label: label.to_string() })?;
        let mandatory = self.mandatory(statement);
        let referred: Vec<&str> = mandatory.iter().chain(&proof[1..end]).copied().collect();
        let letters = proof[end + 1..].concat();
        let mut steps = Vec::new();
        // The number of each saved step that is printed.
        let mut saved: Vec<Option<usize>> = Vec::new();
        let mut n_saved = 0;
        let mut last_is_logical = false;
        let mut number = 0_usize;
        for letter in letters.bytes() {
            match letter {
                // Base 20 with digits of 5 before it (appendix B).
                b'U'..=b'Y' => number = number * 5 + usize::from(letter - b'U') + 1,
                b'A'..=b'T' => {
                    let at = number * 20 + usize::from(letter - b'A');
                    number = 0;
                    let step = match referred.get(at) {
                        Some(label) => named(label),
                        None => {
                            let step = saved
                                .get(at - referred.len())
                                .ok_or_else(|| EntryError::BeyondSteps { label: label.to_string() })?;
                            step.map(|idx| format!("@{idx}"))
                        }
                    };
                    last_is_logical = step.is_some();
                    steps.extend(step);
                }
                b'Z' => {
                    n_saved += usize::from(last_is_logical);
                    saved.push(last_is_logical.then_some(n_saved));
                }
                b'?' => return Ok(None),
                _ => {
                    let letter = char::from(letter);
                    return Err(EntryError::NotLetter { label: label.to_string(), letter });
                }
            }
        }
        Ok(Some(steps))
    }

    /// Labels of an assertion's mandatory hypotheses: the essential ones, and the types of all variables in use.
    fn mandatory(&self, statement: &[&str]) -> Vec<&'a str> {
        let mut words: HashSet<&str> = statement.iter().copied().collect();
        words.extend(self.essential().flat_map(|(_, statement)| statement.iter().copied()));
        let is_mandatory = |hypothesis: &Hypothesis<'a>| match hypothesis {
            Hypothesis::Floating { label, variable } => words.contains(variable).then_some(*label),
            Hypothesis::Essential { label, .. } => Some(*label),
        };
        self.active.iter().filter_map(is_mandatory).collect()
    }

    fn essential(&self) -> impl Iterator<Item = (&'a str, &Vec<&'a str>)> {
        self.active.iter().filter_map(|hypothesis| match hypothesis {
            Hypothesis::Essential { label, statement } => Some((*label, statement)),
            Hypothesis::Floating { .. } => None,
        })
    }

    fn text(&self, label: &str, statement: &[&str], steps: &[String]) -> String {
        let bare = |words: &[&str]| words.strip_prefix(&[PROVABLE]).unwrap_or(words).join(" ");
        let assumed: Vec<String> = self.essential().map(|(_, statement)| bare(statement)).collect();
        let arrow = if assumed.is_empty() { "" } else { " => " };
        format!("{label}: {}{arrow}{}\nproof: {}\n", assumed.join(" & "), bare(statement), steps.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Propositional calculus as in set.mm, shortened.
    const DATABASE: &str = "$c ( ) -> wff |- $. $v ph ps ch $.
        $( A comment with ph $. in it $)
        wph $f wff ph $. wps $f wff ps $. wch $f wff ch $.
        wi $a wff ( ph -> ps ) $.
        ${ min $e |- ph $. maj $e |- ( ph -> ps ) $. ax-mp $a |- ps $. $}
        ax-1 $a |- ( ph -> ( ps -> ph ) ) $.
        ${ mp2.1 $e |- ph $. mp2.2 $e |- ps $. mp2.3 $e |- ( ph -> ( ps -> ch ) ) $.
           mp2 $p |- ch $= ( wi ax-mp ) BCEABCGDFHH $. $}
        ${ a1i.1 $e |- ph $.
           a1i $p |- ( ps -> ph ) $= wph wps wph wi a1i.1 wph wps ax-1 ax-mp $. $}
        ${ twice.1 $e |- ph $.
           twice $p |- ( ps -> ph ) $= ( a1i ) ABCDZE $.
           open $p |- ( ps -> ph ) $= ? $. $}
        wdummy $p wff ( ph -> ph ) $= wph wph wi $.";

    #[test]
    fn a_proof_by_hand_has_these_steps() {
        let entries = entries(DATABASE).unwrap();
        // mp2: mandatory are wph wps wch and three assumptions, A to F; G is wi, H ax-mp. Of B C E A B C G D F H H
        // stay E, D, F, H, H: mp2.2, mp2.1, mp2.3, ax-mp, ax-mp.
        assert_eq!(
            entries,
            [
                "mp2: ph & ps & ( ph -> ( ps -> ch ) ) => ch\nproof: h2 h1 h3 ax-mp ax-mp\n",
                "a1i: ph => ( ps -> ph )\nproof: h1 ax-1 ax-mp\n",
                // A and B are types, C is the assumption, D a1i, which is saved and reused.
                "twice: ph => ( ps -> ph )\nproof: h1 a1i @1\n",
            ]
        );
    }

    #[test]
    fn numbers_beyond_twenty_have_two_letters() {
        // 25 assumptions: A to T are the first 20, UA is the 21st, UE the 25th.
        let assumed: String = (1..=25).map(|idx| format!("h.{idx} $e |- c{idx} $. ")).collect();
        let text = format!("$c |- $. ${{ {assumed} t $p |- x $= ( ) ATUAUE $. $}}");
        let entries = entries(&text).unwrap();
        assert!(entries[0].ends_with("proof: h1 h20 h21 h25\n"), "{entries:?}");
    }

    #[test]
    fn a_broken_file_is_refused_with_its_line() {
        for (text, why) in [
            ("$( open", "does not end"),
            ("$c a\n$. $}", "closes nothing"),
            ("x $a |- a", "does not end"),
            ("\n$a |- a $.", "no label"),
            ("t $p |- x $= ( ) C $.", "beyond its steps"),
            ("t $p |- x $= ( ) a $.", "not a letter"),
        ] {
            let error = entries(text).unwrap_err();
            let line = text.matches('\n').count() as u64 + 1;
            assert!(error.line == line && error.why.to_string().contains(why), "{text}: {error:?}");
        }
    }
}
