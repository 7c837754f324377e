//! Valid frames for fuzzing, from any octets.

use core::net::IpAddr;
use core::num::NonZeroU16;

use ::arbitrary::{Arbitrary, Result, Unstructured};

use crate::ping::{self, Probe, ProbeSize, Report, Run, Seq};
use crate::relay::{self, Content, Forward, Payload, Raw, Token};
use crate::share::{
    self, Data, Digest, Entry, Id, Key, Kind, Mode, ModifiedAt, PageBuf, PageBuilder, Path,
    Problem, Size, Start, Text,
};
use crate::{Code, Endpoint};

impl<'a> Arbitrary<'a> for Code {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        u.choose(&Self::ALL).copied()
    }
}

impl<'a> Arbitrary<'a> for Endpoint {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        Ok(Self::from_parts(
            IpAddr::arbitrary(u)?,
            NonZeroU16::arbitrary(u)?,
        ))
    }
}

impl<'a> Arbitrary<'a> for Token {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        Ok(Self(<[u8; 16]>::arbitrary(u)?))
    }
}

impl<'a> Arbitrary<'a> for Probe {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        let seq = Seq::arbitrary(u)?;
        let size = u.int_in_range(Self::smallest(seq)..=ProbeSize::MAX.get())?;
        ProbeSize::new(size)
            .and_then(|size| Self::new(Run(u32::arbitrary(u).unwrap_or_default()), seq, size))
            .map_err(|_| ::arbitrary::Error::IncorrectFormat)
    }
}

impl<'a> Arbitrary<'a> for ping::Request<'a> {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        Ok(match u.int_in_range(0..=3)? {
            0 => {
                let size = u.int_in_range(1..=ProbeSize::MAX.get())?;
                Self::Calibrate(ProbeSize::new(size).unwrap_or(ProbeSize::MAX))
            }
            1 => Self::Exit,
            2 => Self::Probe(Probe::arbitrary(u)?),
            _ => {
                let octets = <&[u8]>::arbitrary(u)?;
                Self::Message(ping::Message::new(octets).unwrap_or(ping::Message::HELLO))
            }
        })
    }
}

impl<'a> Arbitrary<'a> for ping::Answer {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        Ok(match u.int_in_range(0..=6)? {
            0 => Self::Calibrated,
            1 => Self::Stopping,
            2 => Self::PacketAcknowledged,
            3 => Self::Acknowledgement,
            4 => Self::Refused(Code::arbitrary(u)?),
            5 => Self::LimitedNotice(
                Probe::arbitrary(u)?.limited_notice(Option::arbitrary(u)?, u64::arbitrary(u)?),
            ),
            _ => {
                let probe = Probe::arbitrary(u)?;
                Self::Probe(probe.answer(&Report {
                    count: Seq::arbitrary(u)?,
                    window: u64::arbitrary(u)?,
                    held: u64::arbitrary(u)?,
                    received: u64::arbitrary(u)?,
                    limited: u64::arbitrary(u)?,
                }))
            }
        })
    }
}

impl<'a> Arbitrary<'a> for Payload<'a> {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        let octets = <&[u8]>::arbitrary(u)?;
        let octets = octets.get(..Raw::MAX_LEN).unwrap_or(octets);
        let content = core::str::from_utf8(octets).ok().map(Content::new);
        Ok(match content {
            Some(Ok(content)) => Self::Content(content),
            _ => Self::Raw(Raw::new(octets).map_err(|_| ::arbitrary::Error::IncorrectFormat)?),
        })
    }
}

impl<'a> Arbitrary<'a> for relay::Request<'a> {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        Ok(match u.int_in_range(0..=4)? {
            0 => Self::Greeting,
            1 => Self::TokenRequest,
            2 => Self::TokenGreeting(Token::arbitrary(u)?),
            3 => Self::ExitServer,
            _ => Self::Send(
                relay::Message::new(Endpoint::arbitrary(u)?, Payload::arbitrary(u)?)
                    .map_err(|_| ::arbitrary::Error::IncorrectFormat)?,
            ),
        })
    }
}

impl<'a> Arbitrary<'a> for relay::Answer<'a> {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        Ok(match u.int_in_range(0..=4)? {
            0 => Self::Address(Endpoint::arbitrary(u)?),
            1 => Self::Token(Endpoint::arbitrary(u)?, Token::arbitrary(u)?),
            2 => Self::Sent,
            3 => Self::Refused(Code::arbitrary(u)?),
            _ => Self::Forward(
                Forward::new(Endpoint::arbitrary(u)?, Payload::arbitrary(u)?)
                    .map_err(|_| ::arbitrary::Error::IncorrectFormat)?,
            ),
        })
    }
}

impl<'a> Arbitrary<'a> for Digest {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        Ok(Self(<[u8; 32]>::arbitrary(u)?))
    }
}

impl<'a> Arbitrary<'a> for Key {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        Ok(Self::new(<[u8; 16]>::arbitrary(u)?))
    }
}

impl<'a> Arbitrary<'a> for Id {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        Ok(Self::new(u64::arbitrary(u)?).unwrap_or(Self::FIRST))
    }
}

impl<'a> Arbitrary<'a> for Problem {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        u.choose(Self::ALL).copied()
    }
}

impl<'a> Arbitrary<'a> for Text<'a> {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        Ok(Self::cut(<&str>::arbitrary(u)?))
    }
}

impl<'a> Arbitrary<'a> for Data<'a> {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        Self::new(<&[u8]>::arbitrary(u)?).map_err(|_| ::arbitrary::Error::IncorrectFormat)
    }
}

impl<'a> Arbitrary<'a> for Start {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        Ok(match u64::arbitrary(u)?.try_into() {
            Err(_) => Self::Beginning,
            Ok(offset) => Self::After {
                offset,
                digest: Digest::arbitrary(u)?,
            },
        })
    }
}

impl<'a> Arbitrary<'a> for Entry<'a> {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        let kind = match u.int_in_range(0..=2)? {
            0 => Kind::Folder,
            1 => Kind::File(Size::Unknown),
            _ => Kind::File(Size::Known(u64::arbitrary(u)?)),
        };
        let modified = ModifiedAt::new(i64::arbitrary(u)?, u.int_in_range(0..=999_999_999)?);
        let path = Path::new(<&str>::arbitrary(u)?);
        match (modified, path) {
            (Some(modified), Ok(path)) => Ok(Self {
                id: Id::arbitrary(u)?,
                kind,
                mode: Mode::new(u32::arbitrary(u)?),
                modified,
                path,
            }),
            _ => Err(::arbitrary::Error::IncorrectFormat),
        }
    }
}

impl<'a> Arbitrary<'a> for PageBuf {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        let mut builder = PageBuilder::default();
        let mut full = builder.add(&Entry::arbitrary(u)?);
        while full.is_none() && bool::arbitrary(u)? {
            full = builder.add(&Entry::arbitrary(u)?);
        }
        full.or_else(|| builder.take())
            .ok_or(::arbitrary::Error::IncorrectFormat)
    }
}

impl<'a> Arbitrary<'a> for share::Request<'a> {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        Ok(match u.int_in_range(0..=5)? {
            0 => Self::Hello(u.arbitrary()?),
            1 => Self::Want {
                id: Id::arbitrary(u)?,
                start: Start::arbitrary(u)?,
            },
            2 => Self::Got(Id::arbitrary(u)?),
            3 => Self::Done,
            4 => Self::Cancel(Text::arbitrary(u)?),
            _ => Self::Error(Problem::arbitrary(u)?, Text::arbitrary(u)?),
        })
    }
}

impl<'a> Arbitrary<'a> for share::AnswerBuf {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        Ok(match u.int_in_range(0..=9)? {
            0 => Self::Hello(u.arbitrary()?),
            1 => Self::Page(PageBuf::arbitrary(u)?),
            2 => Self::End {
                entries: u.arbitrary()?,
                octets: u.arbitrary()?,
            },
            3 => Self::File {
                id: Id::arbitrary(u)?,
                offset: u.arbitrary()?,
            },
            4 => Self::Data(Data::arbitrary(u)?.into()),
            5 => Self::Sum {
                id: Id::arbitrary(u)?,
                octets: u.arbitrary()?,
                digest: Digest::arbitrary(u)?,
            },
            6 => Self::Failed(
                Id::arbitrary(u)?,
                Problem::arbitrary(u)?,
                Text::arbitrary(u)?.into(),
            ),
            7 => Self::Done,
            8 => Self::Cancel(Text::arbitrary(u)?.into()),
            _ => Self::Error(Problem::arbitrary(u)?, Text::arbitrary(u)?.into()),
        })
    }
}
