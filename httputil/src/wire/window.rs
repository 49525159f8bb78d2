//! The connection's receive window as an HTTP/2 peer sees it (RFC 9113 §6.9).
//!
//! Bodies that nobody reads use it up, and then every other body on the connection waits for theirs. hyper does not
//! tell; so what was granted and what has come is counted beside it.

/// What the peer may still send on the connection.
#[derive(Debug)]
pub(super) struct Window {
    open: i64,
    largest: i64,
}

impl Window {
    pub(super) fn new() -> Window {
        Window {
            open: 65_535,
            largest: 65_535,
        }
    }

    /// DATA came.
    pub(super) fn take(&mut self, length: u32) {
        self.open = self.open.saturating_sub(length.into());
    }

    /// We have granted more.
    pub(super) fn grant(&mut self, more: u32) {
        self.open = self.open.saturating_add(more.into());
        self.largest = self.largest.max(self.open);
    }

    /// Whether less than a quarter is left. A body that is read is granted more at half.
    pub(super) fn is_used_up(&self) -> bool {
        self.open < self.largest / 4
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_used_up_below_a_quarter_of_its_largest_value() {
        let mut window = Window::new();
        window.grant(1_000_000 - 65_535);
        window.take(750_000);
        assert!(!window.is_used_up());
        window.take(1);
        assert!(window.is_used_up());
        window.grant(1);
        assert!(!window.is_used_up());
    }

    #[test]
    fn a_peer_that_disregards_it_overflows_nothing() {
        let mut window = Window::new();
        for _ in 0..10 {
            window.take(u32::MAX);
        }
        assert!(window.is_used_up());
        for _ in 0..20 {
            window.grant(u32::MAX);
        }
        assert!(!window.is_used_up());
    }
}
