//! Texts by number: each is kept once, and how many items have it is known.

use std::collections::HashMap;
use std::sync::Arc;

/// A text's number.
pub(super) type Word = u32;

#[derive(Debug, Default)]
pub(super) struct Words {
    numbers: HashMap<Arc<str>, Word>,
    texts: Vec<Arc<str>>,
    used: Vec<u32>,
}

impl Words {
    /// Its number; it is used once more.
    pub(super) fn take(&mut self, text: &str) -> Word {
        let known = self.numbers.get(text).copied();
        let word = known.unwrap_or_else(|| {
            let text: Arc<str> = text.into();
            let word = Word::try_from(self.texts.len()).unwrap_or(Word::MAX);
            self.numbers.insert(Arc::clone(&text), word);
            self.texts.push(text);
            self.used.push(0);
            word
        });
        if let Some(used) = self.used.get_mut(place(word)) {
            *used += 1;
        }
        word
    }

    pub(super) fn text(&self, word: Word) -> &str {
        self.texts.get(place(word)).map_or("", |text| text)
    }

    /// How often it was taken.
    pub(super) fn used(&self, word: Word) -> u32 {
        self.used.get(place(word)).copied().unwrap_or(0)
    }
}

fn place(word: Word) -> usize {
    usize::try_from(word).unwrap_or(usize::MAX)
}
