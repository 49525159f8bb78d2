//! Server-sent events out of lines, as HTML's standard has them: `event:`, `data:`, and an empty line that ends an event.

use super::error::AiError;

/// The event that is being read.
#[derive(Debug, Default)]
pub(super) struct Event {
    /// Its kind, empty if it has none.
    pub(super) name: String,
    /// Its data, lines and all.
    pub(super) data: String,
    has_data: bool,
}

impl Event {
    /// Takes a line; the event, if the line has ended one that has data.
    ///
    /// # Errors
    ///
    /// Its data is more than the bound.
    pub(super) fn take(&mut self, line: &str, bound: usize) -> Result<Option<Event>, AiError> {
        if line.is_empty() {
            let event = std::mem::take(self);
            return Ok(event.has_data.then_some(event));
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.name),
            "data" => {
                if self.has_data {
                    self.data.push('\n');
                }
                self.has_data = true;
                self.data.push_str(value);
            }
            // A comment, which keeps a connection alive, or a field that these protocols do not use.
            _ => {}
        }
        if self.data.len() > bound {
            return Err(AiError::TooLarge(bound));
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(text: &str) -> Vec<(String, String)> {
        let mut event = Event::default();
        let taken = text.lines().filter_map(|line| event.take(line, 8).unwrap());
        taken.map(|event| (event.name, event.data)).collect()
    }

    #[test]
    fn events_have_names_and_data_of_several_lines_and_comments_are_none() {
        let text =
            ": hello\n\nevent: ping\ndata: {}\nid: 7\n\ndata:a\ndata:  b\ndata\n\nevent: no data\n\ndata: unfinished\n";
        let expected = [("ping", "{}"), ("", "a\n b\n")].map(|(name, data)| (name.to_owned(), data.to_owned()));
        assert_eq!(events(&text.replace(" unfinished", " u")), expected);
    }

    #[test]
    fn data_of_many_lines_is_bounded_as_of_one() {
        let mut event = Event::default();
        event.take("data: 1234", 8).unwrap();
        assert!(matches!(event.take("data: 5678", 8), Err(AiError::TooLarge(8))));
    }
}
