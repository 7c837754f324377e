//! Tokens: what proves that a sender gets what is sent to its address (`WIRE.md` section 3.1).

use core::fmt;
use core::str::FromStr;

use crate::{ParseError, Rule, grammar};

/// A token, 128 bits. Only the relay that made it can tell whether it is right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Token(
    /// In the order of the hex digits.
    pub [u8; 16],
);

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl FromStr for Token {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        grammar::whole(text.as_bytes(), |input| {
            let (input, token) = grammar::rule(Rule::Token, grammar::token)(input)?;
            grammar::end(Rule::Token, input)?;
            Ok((input, Self(token)))
        })
    }
}
