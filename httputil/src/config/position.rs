//! Byte offsets → lines and columns, quickly even where a whole file is one line.

const STEP: usize = 1024;

/// The lines of a text.
pub(crate) struct Positions<'a> {
    text: &'a str,
    /// Offsets at which lines start.
    lines: Vec<usize>,
    /// Characters before each multiple of `STEP` bytes.
    characters: Vec<usize>,
}

impl<'a> Positions<'a> {
    pub(crate) fn new(text: &'a str) -> Positions<'a> {
        let bytes = text.as_bytes();
        let starts = bytes
            .iter()
            .enumerate()
            .filter(|(_, byte)| **byte == b'\n')
            .map(|(offset, _)| offset + 1);
        let lines = std::iter::once(0).chain(starts).collect();
        let mut characters = vec![0];
        let mut sum = 0;
        for chunk in bytes.chunks(STEP) {
            sum += count_characters(chunk);
            characters.push(sum);
        }
        Positions {
            text,
            lines,
            characters,
        }
    }

    /// Line and column, both from 1, columns in characters. Offsets beyond the end are the end.
    pub(crate) fn of(&self, offset: usize) -> (usize, usize) {
        let offset = offset.min(self.text.len());
        let line = self.lines.partition_point(|start| *start <= offset);
        let start = self.lines[line - 1];
        (line, self.characters_before(offset) - self.characters_before(start) + 1)
    }

    /// The bytes of a line, from 1, without its end.
    pub(crate) fn line(&self, line: usize) -> Option<std::ops::Range<usize>> {
        let start = *self.lines.get(line.checked_sub(1)?)?;
        let end = self.lines.get(line).map_or(self.text.len(), |next| next - 1);
        let length = self.text[start..end].trim_end_matches('\r').len();
        Some(start..start + length)
    }

    fn characters_before(&self, offset: usize) -> usize {
        let whole = offset / STEP;
        self.characters[whole] + count_characters(&self.text.as_bytes()[whole * STEP..offset])
    }
}

/// Characters that begin in these bytes.
fn count_characters(bytes: &[u8]) -> usize {
    bytes
        .iter()
        .filter(|byte| (**byte & 0b1100_0000) != 0b1000_0000)
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_columns_count_from_one_and_columns_in_characters() {
        let positions = Positions::new("ab\r\nä = 1\n\nx");
        assert_eq!(positions.of(0), (1, 1));
        assert_eq!(positions.of(4), (2, 1));
        assert_eq!(positions.of(6), (2, 2));
        assert_eq!(positions.of(12), (4, 1));
        assert_eq!(positions.of(500), (4, 2));
    }

    #[test]
    fn long_lines_count_as_short_ones_do() {
        let text = format!("x\n{}z", "äb".repeat(5000));
        assert_eq!(Positions::new(&text).of(text.len() - 1), (2, 10_001));
        assert_eq!(Positions::new("").of(0), (1, 1));
    }
}
