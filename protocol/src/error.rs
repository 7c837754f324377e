//! Why a frame was refused: the code that its sender earns, where it went wrong, and the rule expected there.

use core::fmt;

/// The code that a refused request earns (`WIRE.md` section 1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u16)]
pub enum Code {
    /// 400: not a request.
    NotARequest = 400,
    /// 401: the parts are not separated as the grammar says.
    Structure = 401,
    /// 402: the header's key is not `to`.
    HeaderKey = 402,
    /// 403: a number is not one.
    Number = 403,
    /// 404: the data's key is neither `content` nor `raw`.
    DataKey = 404,
    /// 405: cannot be sent to that address.
    Undeliverable = 405,
}

impl Code {
    /// Every code, in order.
    pub const ALL: [Self; 6] = [
        Self::NotARequest,
        Self::Structure,
        Self::HeaderKey,
        Self::Number,
        Self::DataKey,
        Self::Undeliverable,
    ];

    /// The code's number, 400 to 405.
    #[must_use]
    pub const fn number(self) -> u16 {
        self as u16
    }

    /// The answer that tells this code, as it stands on the wire.
    #[must_use]
    pub const fn answer(self) -> &'static str {
        match self {
            Self::NotARequest => "400",
            Self::Structure => "401",
            Self::HeaderKey => "402",
            Self::Number => "403",
            Self::DataKey => "404",
            Self::Undeliverable => "405, Could not send the message to the requested address",
        }
    }

    /// What the code means, for people.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::NotARequest => "not a request",
            Self::Structure => "the parts are not separated as the grammar says",
            Self::HeaderKey => "the header's key is not `to`",
            Self::Number => "a number is not one",
            Self::DataKey => "the data's key is not `content`",
            Self::Undeliverable => "cannot be sent to that address",
        }
    }

    /// The code whose answer these octets are, exactly.
    pub(crate) fn from_answer(octets: &[u8]) -> Option<Self> {
        // Most frames are no code at all: one look decides.
        if octets.first() != Some(&b'4') {
            return None;
        }
        Self::ALL
            .into_iter()
            .find(|code| code.answer().as_bytes() == octets)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.number().fmt(f)
    }
}

/// Defines [`Rule`] from one table: variant, name in the grammar, code, what was expected.
macro_rules! rules {
    ($($variant:ident, $name:literal, $code:ident, $expected:literal;)*) => {
        /// The grammar rule that a refused frame broke (`WIRE.md`).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Rule {
            $(#[doc = concat!("`", $name, "`: expected ", $expected, ".")] $variant,)*
        }

        impl Rule {
            /// Every rule, in the order of the grammar.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The rule's name in `WIRE.md`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// The code that a frame earns which breaks this rule.
            #[must_use]
            pub const fn code(self) -> Code {
                match self { $(Self::$variant => Code::$code,)* }
            }

            /// What the rule wants, as an ending to "expected".
            #[must_use]
            pub const fn expected(self) -> &'static str {
                match self { $(Self::$variant => $expected,)* }
            }
        }
    };
}

rules! {
    Datagram,      "datagram",       NotARequest,   "the frame to end, at the limit";
    Utf8,          "utf-8",          NotARequest,   "UTF-8";
    Calibrate,     "calibrate",      Structure,     "a blank and a size after `C`";
    Size,          "size",           Number,        "a size of 1 to 65507, in digits to the end of the frame";
    Padding,       "padding",        NotARequest,   "a space of the padding (a token request has 96 octets or more)";
    Token,         "token",          NotARequest,   "a token of 32 lower-case hex digits";
    Separator,     "separator",      NotARequest,   "a `;` between header and data";
    HeaderColon,   "header-colon",   Structure,     "exactly one `:` in the header";
    HeaderSlash,   "header-slash",   Structure,     "exactly one `/` in the header, after the address";
    DataColon,     "data-colon",     Structure,     "exactly one `:` in the data";
    HeaderKey,     "header-key",     HeaderKey,     "the key `to`";
    Port,          "port",           Number,        "a port in digits";
    DataKey,       "data-key",       DataKey,       "the key `content` (or `raw : `)";
    Address,       "address",        Undeliverable, "an IPv4 address a.b.c.d or an IPv6 address in brackets";
    PortValue,     "port-value",     Undeliverable, "a port of 1 to 65535";
    PingAnswer,    "ping-answer",    NotARequest,   "an answer of a ping service";
    Run,           "run",            NotARequest,   "a run of 8 lower-case hex digits after a space";
    Seq,           "seq",            NotARequest,   "a sequence number from 1 after a space";
    Count,         "count",          NotARequest,   "a count from 1, or the padding of a probe-answer";
    Window,        "window",         NotARequest,   "a window of 16 lower-case hex digits, or spaces to the end";
    Held,          "held",           NotARequest,   "a time in ns, or spaces to the end";
    Received,      "received",       NotARequest,   "a time in ns since the epoch, or spaces to the end";
    Limited,       "limited",        NotARequest,   "a number of probes, or the padding of a probe-answer";
    LimitedNotice, "limited-notice", NotARequest,   "the notice to end";
    RelayAnswer,   "relay-answer",   NotARequest,   "an answer of a relay";
    AddressAnswer, "address-answer", NotARequest,   "an address as `('<ip>', <port>)`";
    TokenAnswer,   "token-answer",   NotARequest,   "` ; token : ` and 32 lower-case hex digits";
    Forward,       "forward",        NotARequest,   "`<ip>/<port> ; content : ` or `<ip>/<port> ; raw : `";
    Content,       "content",        NotARequest,   "content without `:` and without blanks at its ends";
    ShareRequest,  "share-request",  NotARequest,   "a request to a sender of files";
    ShareAnswer,   "share-answer",   NotARequest,   "a frame from a sender of files";
    Version,       "version",        NotARequest,   "a version from 1";
    Id,            "id",             NotARequest,   "the number of an entry, from 1, after a space";
    Octets,        "octets",         NotARequest,   "a number of octets";
    Digest,        "digest",         NotARequest,   "a BLAKE3 hash of 64 lower-case hex digits";
    Problem,       "problem",        NotARequest,   "the word for a problem";
    Text,          "text",           NotARequest,   "a text of at most 1024 octets";
    Data,          "data",           NotARequest,   "octets of a file";
    Entry,         "entry",          NotARequest,   "an entry that ends with its line";
    Kind,          "kind",           NotARequest,   "`file` and its octets, or `dir`";
    Mode,          "mode",           NotARequest,   "a mode of 3 octal digits";
    Modified,      "modified",       NotARequest,   "seconds since the epoch, a point, and 9 digits";
    Path,          "path",           NotARequest,   "a path that stays beneath its folder on any system";
    FrameLength,   "frame-length",   NotARequest,   "a frame length from 1 to the receiver's limit";
    TcpFrame,      "tcp-frame",      NotARequest,   "the rest of the frame, as long as it announced";
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why a frame was refused. Two words, `Copy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[error("{} at octet {offset}: expected {}", .rule.code(), .rule.expected())]
pub struct ParseError {
    offset: usize,
    rule: Rule,
}

impl ParseError {
    pub(crate) const fn new(rule: Rule, offset: usize) -> Self {
        Self { offset, rule }
    }

    /// The code that the sender earns.
    #[must_use]
    pub const fn code(self) -> Code {
        self.rule.code()
    }

    /// Where the frame went wrong, in octets from its start; the frame's length when something is missing at its end.
    #[must_use]
    pub const fn offset(self) -> usize {
        self.offset
    }

    /// The grammar rule expected there.
    #[must_use]
    pub const fn rule(self) -> Rule {
        self.rule
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_two_words_and_every_code_knows_its_answer() {
        assert!(size_of::<ParseError>() <= 2 * size_of::<usize>());
        for code in Code::ALL {
            assert_eq!(Code::from_answer(code.answer().as_bytes()), Some(code));
            assert!(code.answer().starts_with(&*std::format!("{code}")));
        }
        assert_eq!(Code::from_answer(b"405"), None);
    }

    #[test]
    fn names_are_unique() {
        for (i, a) in Rule::ALL.iter().enumerate() {
            assert!(
                Rule::ALL[i + 1..].iter().all(|b| a.name() != b.name()),
                "{a}"
            );
        }
    }
}
