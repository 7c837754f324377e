//! What holds of all frames of the share service.

use std::num::NonZeroU64;

use hii_protocol::share::{
    Answer, AnswerBuf, Data, Digest, Entry, Id, Kind, Mode, ModifiedAt, PageBuilder, Path, Problem,
    Request, RequestBuf, Size, Start, Text,
};
use hii_protocol::{Frame, Limits};
use proptest::prelude::*;

fn id() -> impl Strategy<Value = Id> {
    (1..=u64::MAX).prop_map(|number| Id::new(number).unwrap())
}

fn number() -> impl Strategy<Value = NonZeroU64> {
    (1..=u64::MAX).prop_map(|number| number.try_into().unwrap())
}

fn digest() -> impl Strategy<Value = Digest> {
    any::<[u8; 32]>().prop_map(Digest)
}

fn problem() -> impl Strategy<Value = Problem> {
    prop::sample::select(Problem::ALL)
}

fn request() -> impl Strategy<Value = RequestBuf> {
    let after = (number(), digest()).prop_map(|(offset, digest)| Start::After { offset, digest });
    let start = prop_oneof![Just(Start::Beginning), after];
    prop_oneof![
        number().prop_map(RequestBuf::Hello),
        (id(), start).prop_map(|(id, start)| RequestBuf::Want { id, start }),
        id().prop_map(RequestBuf::Got),
        Just(RequestBuf::Done),
        any::<String>().prop_map(|text| RequestBuf::Cancel(Text::cut(&text).into())),
        (problem(), any::<String>())
            .prop_map(|(problem, text)| RequestBuf::Error(problem, Text::cut(&text).into())),
    ]
}

/// Entries that can be built, of names that need not be able to.
fn entries() -> impl Strategy<Value = Vec<(Id, Kind, Mode, ModifiedAt, String)>> {
    let kind = prop_oneof![
        Just(Kind::Folder),
        Just(Kind::File(Size::Unknown)),
        any::<u64>().prop_map(|octets| Kind::File(Size::Known(octets))),
    ];
    let modified = (any::<i64>(), 0..1_000_000_000_u32)
        .prop_map(|(seconds, nanos)| ModifiedAt::new(seconds, nanos).unwrap());
    let name = prop_oneof![
        "[a-zA-Z0-9 ._~-]{1,12}",
        "\\PC{1,20}",
        "[\\\\:./\\x00-\\x1f]{1,4}"
    ];
    let path = prop::collection::vec(name, 1..4).prop_map(|names| names.join("/"));
    let mode = any::<u32>().prop_map(Mode::new);
    prop::collection::vec((id(), kind, mode, modified, path), 1..20)
}

fn answer() -> impl Strategy<Value = AnswerBuf> {
    prop_oneof![
        number().prop_map(AnswerBuf::Hello),
        (any::<u64>(), any::<u64>())
            .prop_map(|(entries, octets)| AnswerBuf::End { entries, octets }),
        (id(), any::<u64>()).prop_map(|(id, offset)| AnswerBuf::File { id, offset }),
        prop::collection::vec(any::<u8>(), 1..300)
            .prop_map(|octets| AnswerBuf::Data(Data::new(&octets).unwrap().into())),
        (id(), any::<u64>(), digest()).prop_map(|(id, octets, digest)| AnswerBuf::Sum {
            id,
            octets,
            digest
        }),
        (id(), problem(), any::<String>()).prop_map(|(id, problem, text)| AnswerBuf::Failed(
            id,
            problem,
            Text::cut(&text).into()
        )),
        Just(AnswerBuf::Done),
    ]
}

proptest! {
    #[test]
    fn requests_read_back(request in request()) {
        let octets = request.to_vec();
        prop_assert_eq!(octets.len(), request.encoded_len());
        prop_assert_eq!(RequestBuf::decode_frame(&octets, &Limits::DEFAULT), Ok(request));
    }

    #[test]
    fn answers_read_back(answer in answer()) {
        let octets = answer.to_vec();
        prop_assert_eq!(octets.len(), answer.encoded_len());
        prop_assert_eq!(AnswerBuf::decode_frame(&octets, &Limits::DEFAULT), Ok(answer));
    }

    #[test]
    fn pages_hold_what_paths_allow_and_read_back(entries in entries()) {
        let entries: Vec<_> = entries
            .iter()
            .filter_map(|(id, kind, mode, modified, path)| Some(Entry {
                id: *id,
                kind: *kind,
                mode: *mode,
                modified: *modified,
                path: Path::new(path).ok()?,
            }))
            .collect();
        let mut builder = PageBuilder::default();
        let mut pages: Vec<_> = entries.iter().filter_map(|entry| builder.add(entry)).collect();
        pages.extend(builder.take());
        let mut found = Vec::new();
        for page in &pages {
            let frame = Answer::Page(page.as_page()).to_vec();
            let Ok(Answer::Page(page)) = Answer::decode(&frame) else {
                return Err(TestCaseError::fail("no page"));
            };
            found.extend(page.entries().map(|entry| (entry.id, entry.kind, entry.path.as_str().to_owned())));
        }
        let wanted: Vec<_> = entries
            .iter()
            .map(|entry| (entry.id, entry.kind, entry.path.as_str().to_owned()))
            .collect();
        prop_assert_eq!(found, wanted);
    }

    #[test]
    fn no_path_leads_out(text in "[a./\\\\:~\\x00 \u{202e}CON]{0,12}") {
        let Ok(path) = Path::new(&text) else {
            return Ok(());
        };
        let beneath = std::path::Path::new("/folder").join(path.as_str());
        let mut depth = 0;
        for component in beneath.components() {
            depth += 1;
            prop_assert!(!matches!(component, std::path::Component::ParentDir), "{}", text);
        }
        prop_assert!(beneath.starts_with("/folder"));
        prop_assert_eq!(depth, 2 + path.names().count());
    }

    #[test]
    fn octets_that_decode_are_spelled_in_one_way(octets in "(want|page|sum|file|error|failed|cancel) [0-9a-z .?\n-]{0,60}") {
        if let Ok(request) = Request::decode(octets.as_bytes()) {
            prop_assert_eq!(request.to_vec(), octets.as_bytes());
        }
        if let Ok(answer) = Answer::decode(octets.as_bytes()) {
            prop_assert_eq!(answer.to_vec(), octets.as_bytes());
        }
    }
}
