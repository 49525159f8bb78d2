//! The heads of HTTP/2 frames (RFC 9113 §4.1), read off a connection's plain bytes as they pass.
//!
//! hyper says little of what a peer says, and late: a GOAWAY shows at the next request, a stream limit when a task is
//! polled, an exhausted window never. This reader looks at the bytes beside it. It keeps nine bytes at most and lets
//! payloads pass by their length, whatever pieces they come in.

use h2::Reason;

/// What a frame says, as far as the pool cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// HEADERS of this stream: a request, an answer, or trailers.
    Headers(u32),
    /// DATA with as much payload; padding counts, as it does for flow control.
    Data(u32),
    /// SETTINGS that are no acknowledgement, and the limit of concurrent streams if they name one.
    Settings { max_streams: Option<u32> },
    /// `RST_STREAM`
    Reset(Reason),
    /// GOAWAY
    GoAway(Reason),
    /// PING, or the answer to one, with what it bears.
    Ping { is_answer: bool, payload: [u8; 8] },
    /// `WINDOW_UPDATE` of the whole connection.
    Window(u32),
}

/// One direction of a connection.
#[derive(Debug)]
pub(super) struct Frames {
    /// Bytes to let pass.
    skip: usize,
    part: Part,
    held: [u8; HEAD],
    have: usize,
    /// Frames since the last that carried something: a header, or bytes of a body.
    futile: u32,
    /// A first frame has begun.
    has_begun: bool,
    /// More of a header is to come, and nothing may come before it (RFC 9113 §4.3).
    is_in_header: bool,
}

/// What the next bytes are, those to let pass left out.
#[derive(Clone, Copy, Debug)]
enum Part {
    Head,
    Setting {
        left: u32,
        max_streams: Option<u32>,
    },
    Reset,
    Ping {
        is_answer: bool,
    },
    /// Reason and last stream; what comes behind them is for people.
    GoAway {
        rest: u32,
    },
    Window,
}

pub(super) const HEAD: usize = 9;
const HEADERS: u8 = 1;
/// What a client says before its first frame (RFC 9113 §3.4).
const PREFACE: usize = 24;
const SETTING: u32 = 6;
const MAX_CONCURRENT_STREAMS: u16 = 3;

impl Frames {
    /// The frames of a server.
    pub(super) fn of_server() -> Frames {
        Frames {
            skip: 0,
            part: Part::Head,
            held: [0; HEAD],
            have: 0,
            futile: 0,
            has_begun: false,
            is_in_header: false,
        }
    }

    /// The frames of a client, behind its preface.
    pub(super) fn of_client() -> Frames {
        Frames {
            skip: PREFACE,
            ..Frames::of_server()
        }
    }

    /// Frames since the last that carried something.
    pub(super) fn futile(&self) -> u32 {
        self.futile
    }

    /// Whether another frame may be put in here.
    pub(super) fn is_between(&self) -> bool {
        let at_head = matches!(self.part, Part::Head) && self.have == 0 && self.skip == 0;
        at_head && self.has_begun && !self.is_in_header
    }

    /// Takes the next bytes and says what they complete, and with which byte. DATA is told of at its head, since it fills a
    /// window as a whole.
    pub(super) fn feed(&mut self, mut bytes: &[u8], mut tell: impl FnMut(Event, usize)) {
        let all = bytes.len();
        loop {
            let passing = self.skip.min(bytes.len());
            self.skip -= passing;
            bytes = &bytes[passing..];
            if bytes.is_empty() {
                return;
            }
            let wanted = self.part.length();
            let taken = (wanted - self.have).min(bytes.len());
            self.held[self.have..self.have + taken].copy_from_slice(&bytes[..taken]);
            self.have += taken;
            bytes = &bytes[taken..];
            if self.have < wanted {
                return;
            }
            self.have = 0;
            if let Some(event) = self.step() {
                tell(event, all - bytes.len());
            }
        }
    }

    fn step(&mut self) -> Option<Event> {
        let held = self.held;
        match std::mem::replace(&mut self.part, Part::Head) {
            Part::Head => self.head(),
            Part::Setting { left, max_streams } => {
                let names_it = u16::from_be_bytes([held[0], held[1]]) == MAX_CONCURRENT_STREAMS;
                let max_streams = if names_it { Some(word(&held, 2)) } else { max_streams };
                if left > 1 {
                    self.part = Part::Setting {
                        left: left - 1,
                        max_streams,
                    };
                    return None;
                }
                Some(Event::Settings { max_streams })
            }
            Part::Reset => Some(Event::Reset(word(&held, 0).into())),
            Part::Ping { is_answer } => {
                let mut payload = [0; 8];
                payload.copy_from_slice(&held[..8]);
                Some(Event::Ping { is_answer, payload })
            }
            Part::GoAway { rest } => {
                self.skip = rest as usize;
                Some(Event::GoAway(word(&held, 4).into()))
            }
            Part::Window => Some(Event::Window(word(&held, 0) & WINDOW_MASK)),
        }
    }

    /// Frames of a wrong size are let pass: they end the connection, and that is hyper's to say.
    fn head(&mut self) -> Option<Event> {
        let length = word(&self.held, 0) >> 8;
        let (kind, flags, stream) = (self.held[3], self.held[4], word(&self.held, 5) & WINDOW_MASK);
        let is_ack = flags & 1 != 0;
        let carries = kind == HEADERS || (kind == DATA && length > 0);
        self.futile = if carries { 0 } else { self.futile.saturating_add(1) };
        self.has_begun = true;
        if kind == HEADERS || kind == CONTINUATION {
            self.is_in_header = flags & END_HEADERS == 0;
        }
        let (part, event) = match kind {
            DATA => (None, Some(Event::Data(length))),
            HEADERS => (None, Some(Event::Headers(stream))),
            RST_STREAM if length == 4 => (Some(Part::Reset), None),
            SETTINGS if is_ack => (None, None),
            SETTINGS if length == 0 => (None, Some(Event::Settings { max_streams: None })),
            SETTINGS if length.is_multiple_of(SETTING) => {
                let left = length / SETTING;
                let max_streams = None;
                (Some(Part::Setting { left, max_streams }), None)
            }
            PING if length == 8 => (Some(Part::Ping { is_answer: is_ack }), None),
            GOAWAY if length >= 8 => (Some(Part::GoAway { rest: length - 8 }), None),
            WINDOW_UPDATE if length == 4 && stream == 0 => (Some(Part::Window), None),
            _ => (None, None),
        };
        match part {
            Some(part) => self.part = part,
            None => self.skip = length as usize,
        }
        event
    }
}

const DATA: u8 = 0;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
pub(super) const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
const END_HEADERS: u8 = 4;
/// The highest bit of a stream's number and of an increment is reserved.
const WINDOW_MASK: u32 = u32::MAX >> 1;

impl Part {
    fn length(self) -> usize {
        match self {
            Part::Head => HEAD,
            Part::Setting { .. } => SETTING as usize,
            Part::Reset | Part::Window => 4,
            Part::Ping { .. } | Part::GoAway { .. } => 8,
        }
    }
}

fn word(held: &[u8; HEAD], at: usize) -> u32 {
    u32::from_be_bytes([held[at], held[at + 1], held[at + 2], held[at + 3]])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
    }

    fn setting(key: u16, value: u32) -> Vec<u8> {
        [&key.to_be_bytes()[..], &value.to_be_bytes()].concat()
    }

    fn words(words: &[u32]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_be_bytes()).collect()
    }

    fn events<'a>(mut frames: Frames, pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Event> {
        let mut events = Vec::new();
        for piece in pieces {
            frames.feed(piece, |event, _| events.push(event));
        }
        events
    }

    /// Frames of every kind, and what they say.
    fn conversation() -> (Vec<u8>, Vec<Event>) {
        let goaway = [words(&[1 << 31 | 7, 11]), b"too_many_pings".to_vec()].concat();
        let settings = [setting(4, 65_535), setting(3, 9), setting(3, 8), setting(99, 1)].concat();
        let wire = [
            frame(SETTINGS, 0, 0, &settings),
            frame(SETTINGS, 1, 0, &[]),
            frame(1, 4, 1, &[7; 40]),
            frame(DATA, 8, 1, &[0; 1000]),
            frame(DATA, 1, 1, &[]),
            frame(WINDOW_UPDATE, 0, 0, &words(&[0x8001_1170])),
            frame(WINDOW_UPDATE, 0, 1, &words(&[5])),
            frame(SETTINGS, 0, 0, &[]),
            frame(PING, 0, 0, &[3; 8]),
            frame(PING, 1, 0, &[3; 8]),
            frame(RST_STREAM, 0, 3, &words(&[13])),
            frame(200, 255, 9, &[4, 0, 0]),
            frame(GOAWAY, 0, 0, &goaway),
            frame(SETTINGS, 0, 0, &setting(3, 0)),
        ]
        .concat();
        let said = vec![
            Event::Settings { max_streams: Some(8) },
            Event::Headers(1),
            Event::Data(1000),
            Event::Data(0),
            Event::Window(70_000),
            Event::Settings { max_streams: None },
            Event::Ping {
                is_answer: false,
                payload: [3; 8],
            },
            Event::Ping {
                is_answer: true,
                payload: [3; 8],
            },
            Event::Reset(Reason::HTTP_1_1_REQUIRED),
            Event::GoAway(Reason::ENHANCE_YOUR_CALM),
            Event::Settings { max_streams: Some(0) },
        ];
        (wire, said)
    }

    #[test]
    fn each_frame_says_what_the_pool_must_know() {
        let (wire, said) = conversation();
        assert_eq!(events(Frames::of_server(), [&wire[..]]), said);
    }

    #[test]
    fn bytes_may_come_one_at_a_time() {
        let (wire, said) = conversation();
        assert_eq!(events(Frames::of_server(), wire.chunks(1)), said);
    }

    #[test]
    fn any_chunking_says_the_same() {
        let (wire, said) = conversation();
        for first in 0..wire.len() {
            let (a, b) = wire.split_at(first);
            assert_eq!(events(Frames::of_server(), [a, b]), said, "split at {first}");
        }
        // A small generator of lengths, another for each round.
        for round in 1..2000_u64 {
            let (mut state, mut rest, mut pieces) = (round, &wire[..], Vec::new());
            while !rest.is_empty() {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(round);
                let length = usize::try_from(state >> 59).unwrap().min(rest.len());
                let (piece, behind) = rest.split_at(length);
                pieces.push(piece);
                rest = behind;
            }
            assert_eq!(events(Frames::of_server(), pieces), said, "round {round}");
        }
    }

    #[test]
    fn a_client_s_preface_is_no_frame() {
        let wire = [
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
            frame(WINDOW_UPDATE, 0, 0, &words(&[9])),
        ]
        .concat();
        assert_eq!(events(Frames::of_client(), wire.chunks(5)), [Event::Window(9)]);
    }

    #[test]
    fn frames_of_a_wrong_size_say_nothing_and_shift_nothing() {
        let wire = [
            frame(RST_STREAM, 0, 1, &[0; 3]),
            frame(GOAWAY, 0, 0, &[0; 7]),
            frame(WINDOW_UPDATE, 0, 0, &[1; 5]),
            frame(SETTINGS, 0, 0, &[0; 7]),
            frame(DATA, 0, 1, &[1]),
        ]
        .concat();
        assert_eq!(events(Frames::of_server(), [&wire[..]]), [Event::Data(1)]);
    }

    #[test]
    fn another_frame_may_be_put_in_between_two_and_into_no_header() {
        let (head, more) = (frame(HEADERS, 0, 1, &[7; 4]), frame(CONTINUATION, 0, 1, &[7; 3]));
        let (end, data) = (frame(CONTINUATION, END_HEADERS, 1, &[7; 2]), frame(DATA, 1, 1, &[7; 5]));
        let settings = frame(SETTINGS, 0, 0, &setting(4, 65_535));
        let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        let mut frames = Frames::of_client();
        let (mut at, mut between) = (0, Vec::new());
        for byte in [preface, settings.clone(), head, more, end, data].concat() {
            frames.feed(&[byte], |_, _| ());
            at += 1;
            if frames.is_between() {
                between.push(at);
            }
        }
        let (first, header) = (24 + settings.len(), 13 + 12 + 11);
        assert_eq!(between, [first, first + header, first + header + 14]);
    }
}
