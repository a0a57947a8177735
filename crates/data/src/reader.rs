//! Reads the documents of a part one after the other, each text once.

use std::collections::HashSet;
use std::slice::Iter;

use serde::{Deserialize, Serialize};

use crate::DataError;
use crate::corpus::Split;
use crate::document::{Digest, Document};

/// What was met on the way to a place in a part.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Met {
    /// Places in the list, whatever was there.
    pub listed: usize,
    /// Documents that were read.
    pub documents: u64,
    /// Equal to an earlier one or to a held-out one.
    pub duplicates: u64,
    /// Binary, not UTF-8, or white space alone.
    pub not_text: u64,
}

pub(crate) struct Reader<'a> {
    documents: Iter<'a, Document>,
    seen: HashSet<Digest>,
    met: Met,
}

impl<'a> Reader<'a> {
    /// Reads the held-out part.
    pub(crate) fn held_out(split: &'a Split) -> Reader<'a> {
        Reader { documents: split.held_out.iter(), seen: HashSet::new(), met: Met::default() }
    }

    /// Reads the training part without what equals a held-out document.
    ///
    /// # Errors
    /// `Io`, `Changed`: the held-out documents are read for it.
    pub(crate) fn train(split: &'a Split) -> Result<Reader<'a>, DataError> {
        let mut held_out = Reader::held_out(split);
        while held_out.pass()? {}
        Ok(Reader { documents: split.train.iter(), seen: held_out.seen, met: Met::default() })
    }

    /// What was met so far.
    pub(crate) fn met(&self) -> Met {
        self.met
    }

    /// The next text; nothing at the end.
    ///
    /// # Errors
    /// `Io`, `Changed`.
    pub(crate) fn next_text(&mut self) -> Result<Option<String>, DataError> {
        for document in self.documents.by_ref() {
            self.met.listed += 1;
            let Some(text) = document.read()? else {
                self.met.not_text += 1;
                continue;
            };
            if self.seen.insert(text.content) {
                self.met.documents += 1;
                return Ok(Some(text.text));
            }
            self.met.duplicates += 1;
        }
        Ok(None)
    }

    /// Goes on until `listed` places are behind it, to continue where an earlier reader was.
    ///
    /// # Errors
    /// `Io`, `Changed`.
    pub(crate) fn skip_to(&mut self, listed: usize) -> Result<(), DataError> {
        while self.met.listed < listed && self.pass()? {}
        Ok(())
    }

    /// Takes notice of one place, reading it only where its content is not known; `false` at the end.
    fn pass(&mut self) -> Result<bool, DataError> {
        let Some(document) = self.documents.next() else { return Ok(false) };
        self.met.listed += 1;
        let content = match document.content {
            Some(content) => Some(content),
            None => document.read()?.map(|text| text.content),
        };
        match content {
            None => self.met.not_text += 1,
            Some(content) if self.seen.insert(content) => self.met.documents += 1,
            Some(_) => self.met.duplicates += 1,
        }
        Ok(true)
    }
}
