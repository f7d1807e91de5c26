//! One text out of an XML document that somebody sent who is not trusted: a token, a key, the code of an error.
//!
//! The document is read once, event by event, and never held as a tree. Nothing is looked up for it: a document type is refused, so there
//! are no entities but XML's own five and characters by number, none that grow, and none from elsewhere. Namespaces are passed over.

use bulkhead_model::xml_path::XmlPath;
use quick_xml::Reader;
use quick_xml::XmlVersion;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesDecl, BytesRef, BytesStart, Event};
use zeroize::Zeroizing;

/// The largest document, in bytes.
const LARGEST: usize = 1 << 20;
/// How deep elements stand in each other, at most.
const DEEPEST: usize = 64;
/// The most attributes of an element that one is looked for in: each is compared with those before it.
const MOST_ATTRIBUTES: usize = 256;

/// Why nothing can be found in a document. Says nothing of what stands in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum XmlError {
    /// Too large.
    #[error("it has more than {LARGEST} bytes")]
    Large,
    /// Too deep.
    #[error("its elements stand more than {DEEPEST} deep in each other")]
    Deep,
    /// Not in a form that is read.
    #[error("it is no well-formed XML in UTF-8")]
    Malformed,
    /// It brings definitions of its own.
    #[error("it has a document type, whose definitions are not followed")]
    Declared,
    /// An entity that XML itself does not know.
    #[error("it has an entity that XML itself does not know")]
    Entity,
    /// More than one stands at the path.
    #[error("more than one stands there")]
    Repeated,
    /// Elements stand where text should.
    #[error("elements stand there where a text should")]
    NoText,
    /// More attributes than are looked through.
    #[error("the element has more than {MOST_ATTRIBUTES} attributes")]
    Attributes,
}

/// The text at `path`, blanks around it aside; none if nothing stands there.
pub(crate) fn find(document: &[u8], path: &XmlPath) -> Result<Option<Zeroizing<String>>, XmlError> {
    if document.len() > LARGEST {
        return Err(XmlError::Large);
    }
    let text = std::str::from_utf8(document).map_err(|_| XmlError::Malformed)?;
    let mut reader = Reader::from_str(text.strip_prefix('\u{feff}').unwrap_or(text));
    reader.config_mut().check_comments = true;
    let mut search =
        Search { path, document: text, depth: 0, matched: 0, outermost: 0, text: None, found: None };
    loop {
        // What it says of the document may hold what stands in it.
        let event = reader.read_event().map_err(|_| XmlError::Malformed)?;
        if let Event::Eof = event {
            return search.end();
        }
        search.take(&event)?;
    }
}

struct Search<'path> {
    path: &'path XmlPath,
    document: &'path str,
    /// How many elements are open.
    depth: usize,
    /// How many of them are the path's, from the outermost.
    matched: usize,
    /// How many outermost elements there were.
    outermost: usize,
    /// What was read so far of the element at the path, while that is open.
    text: Option<Zeroizing<String>>,
    found: Option<Zeroizing<String>>,
}

impl Search<'_> {
    fn take(&mut self, event: &Event<'_>) -> Result<(), XmlError> {
        match event {
            Event::Start(start) => self.open(start),
            Event::Empty(start) => {
                self.open(start)?;
                self.close()
            }
            Event::End(_) => self.close(),
            Event::Text(text) => self.write(text),
            Event::CData(text) => self.write(text),
            Event::GeneralRef(reference) => self.refer(reference),
            Event::Decl(declaration) => self.check_encoding(declaration),
            Event::DocType(_) => Err(XmlError::Declared),
            Event::Comment(_) | Event::PI(_) | Event::Eof => Ok(()),
        }
    }

    fn open(&mut self, start: &BytesStart<'_>) -> Result<(), XmlError> {
        if self.text.is_some() {
            return Err(XmlError::NoText);
        }
        if self.depth == DEEPEST {
            return Err(XmlError::Deep);
        }
        if self.depth == 0 {
            self.outermost += 1;
            if self.outermost > 1 {
                return Err(XmlError::Malformed);
            }
        }
        let steps = self.path.elements();
        let is_next = steps.get(self.depth).is_some_and(|step| step == start.local_name().into_inner());
        if self.matched == self.depth && is_next {
            self.matched += 1;
            if self.matched == steps.len() {
                match self.path.attribute() {
                    Some(name) => self.attribute(start, name)?,
                    // With its room from the beginning, so that no shorter copy is left behind: no text is longer than its document.
                    None => self.text = Some(Zeroizing::new(String::with_capacity(self.document.len()))),
                }
            }
        }
        self.depth += 1;
        Ok(())
    }

    fn close(&mut self) -> Result<(), XmlError> {
        self.depth = self.depth.checked_sub(1).ok_or(XmlError::Malformed)?;
        self.matched = self.matched.min(self.depth);
        match self.text.take() {
            Some(text) => self.keep(&text),
            None => Ok(()),
        }
    }

    fn attribute(&mut self, start: &BytesStart<'_>, name: &str) -> Result<(), XmlError> {
        for (number, attribute) in start.attributes().enumerate() {
            if number == MOST_ATTRIBUTES {
                return Err(XmlError::Attributes);
            }
            let attribute = attribute.map_err(|_| XmlError::Malformed)?;
            if attribute.key.local_name().into_inner() != name
                || attribute.key.as_namespace_binding().is_some()
            {
                continue;
            }
            let value =
                attribute.normalized_value(XmlVersion::Implicit1_0).map_err(|_| XmlError::Malformed)?;
            self.keep(&Zeroizing::new(value.into_owned()))?;
        }
        Ok(())
    }

    fn write(&mut self, text: &str) -> Result<(), XmlError> {
        match &mut self.text {
            Some(found) => found.push_str(text),
            None if self.depth == 0 && !text.trim().is_empty() => return Err(XmlError::Malformed),
            None => {}
        }
        Ok(())
    }

    fn refer(&mut self, reference: &BytesRef<'_>) -> Result<(), XmlError> {
        let mut letter = [0; 4];
        let text = match reference.resolve_char_ref().map_err(|_| XmlError::Malformed)? {
            Some(found) => &*found.encode_utf8(&mut letter),
            None => resolve_predefined_entity(reference).ok_or(XmlError::Entity)?,
        };
        // No blank that is written so is one around the document.
        if self.depth == 0 { Err(XmlError::Malformed) } else { self.write(text) }
    }

    fn keep(&mut self, text: &str) -> Result<(), XmlError> {
        if self.found.is_some() {
            return Err(XmlError::Repeated);
        }
        self.found = Some(Zeroizing::new(text.trim().to_owned()));
        Ok(())
    }

    fn end(self) -> Result<Option<Zeroizing<String>>, XmlError> {
        let is_whole = self.depth == 0 && self.outermost == 1;
        if is_whole { Ok(self.found) } else { Err(XmlError::Malformed) }
    }

    /// What is read is UTF-8. ASCII is the same in every encoding that a document declares in ASCII.
    fn check_encoding(&self, declaration: &BytesDecl<'_>) -> Result<(), XmlError> {
        match declaration.encoding() {
            None => Ok(()),
            Some(Ok(name)) if name.eq_ignore_ascii_case("utf-8") || self.document.is_ascii() => Ok(()),
            Some(_) => Err(XmlError::Malformed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn look(document: &str, path: &str) -> Result<Option<String>, XmlError> {
        let path = path.parse().expect("a path");
        find(document.as_bytes(), &path).map(|found| found.map(|text| text.to_string()))
    }

    fn text(document: &str, path: &str) -> Option<String> {
        look(document, path).expect(document)
    }

    #[test]
    fn text_and_attributes_are_found_by_the_local_names_on_the_way_to_them() {
        let document = r#"<?xml version="1.0" encoding="UTF-8"?>
            <s:Envelope xmlns:s="urn:soap" xmlns:token="urn:none"><!-- a comment --><s:Head><token>no</token></s:Head>
            <s:Body token="an &quot;attribute&quot; &#x41;"><token>
              a<![CDATA[<b>]]>&amp;&#99;&#x64; </token><empty/><none></none></s:Body></s:Envelope>"#;
        let found = |path| text(document, path);
        assert_eq!(found("/Envelope/Body/token").as_deref(), Some("a<b>&cd"));
        assert_eq!(found("/Envelope/Body/@token").as_deref(), Some("an \"attribute\" A"));
        assert_eq!(found("/Envelope/Body/empty").as_deref(), Some(""));
        assert_eq!(found("/Envelope/Body/none").as_deref(), Some(""));
        for missing in
            ["/token", "/Envelope/token", "/Envelope/Body/token/x", "/Envelope/@token", "/Body/token"]
        {
            assert_eq!(found(missing), None, "{missing}");
        }
    }

    #[test]
    fn what_stands_twice_is_not_taken_and_neither_are_elements() {
        for (document, path, expected) in [
            ("<a><b>1</b><b>2</b></a>", "/a/b", XmlError::Repeated),
            ("<a><b><c>1</c></b><b><c>2</c></b></a>", "/a/b/c", XmlError::Repeated),
            ("<a x:b='1' y:b='2'/>", "/a/@b", XmlError::Repeated),
            ("<a><b>1<c/>2</b></a>", "/a/b", XmlError::NoText),
        ] {
            assert_eq!(look(document, path), Err(expected), "{document}");
        }
        assert_eq!(text("<a><b>1</b><c><b>2</b></c></a>", "/a/b").as_deref(), Some("1"), "elsewhere");
    }

    #[test]
    fn a_document_type_is_refused_before_its_entities_grow_or_read_anything() {
        let bomb = "<!DOCTYPE a [<!ENTITY b \"ha\"><!ENTITY c \"&b;&b;&b;&b;\">]><a>&c;</a>";
        let elsewhere = "<!DOCTYPE a [<!ENTITY b SYSTEM \"file:///etc/passwd\">]><a>&b;</a>";
        for document in [bomb, elsewhere, "<!DOCTYPE a SYSTEM \"http://127.0.0.1/a.dtd\"><a>x</a>"] {
            assert_eq!(look(document, "/a"), Err(XmlError::Declared), "{document}");
        }
        assert_eq!(look("<a>&b;</a>", "/a"), Err(XmlError::Entity));
        assert_eq!(look("<a><b>&nbsp;</b>x</a>", "/a/c"), Err(XmlError::Entity));
    }

    #[test]
    fn what_is_no_whole_document_is_malformed_wherever_it_breaks() {
        for document in [
            "",
            "no XML",
            "<a>",
            "<a><b></a></b>",
            "</a>",
            "<a/><a/>",
            "<a/>x",
            "x<a/>",
            "&amp;<a/>",
            "<a>&amp</a>",
            "<a>&#0;</a>",
            "<a>&#xD800;</a>",
            "<a b='1' b='2'/>",
            "<a b=1/>",
            "<a><![CDATA[x</a>",
            "<a><!-- x</a>",
            "<?xml version='1.0' encoding='ISO-8859-1'?><a>\u{e4}</a>",
        ] {
            assert_eq!(look(document, "/a/@b"), Err(XmlError::Malformed), "{document}");
        }
        let utf16: Vec<u8> = "<a>x</a>".encode_utf16().flat_map(u16::to_be_bytes).collect();
        let path = "/a".parse().expect("a path");
        assert_eq!(find(&utf16, &path), Err(XmlError::Malformed));
        assert_eq!(find(b"<a>\xff</a>", &path), Err(XmlError::Malformed));
        let latin = "<?xml version='1.0' encoding='ISO-8859-1'?><a>plain</a>";
        assert_eq!(text(latin, "/a").as_deref(), Some("plain"), "ASCII is ASCII in it");
    }

    #[test]
    fn depth_size_and_attributes_are_bounded() {
        let nested = |deep: usize| format!("{}{}", "<a>".repeat(deep), "</a>".repeat(deep));
        assert_eq!(look(&nested(DEEPEST), "/b"), Ok(None));
        assert_eq!(look(&nested(DEEPEST + 1), "/b"), Err(XmlError::Deep));
        assert_eq!(look(&nested(100_000), "/b"), Err(XmlError::Deep));
        let large = |bytes: usize| format!("<a>{}</a>", "x".repeat(bytes - 7));
        assert_eq!(text(&large(LARGEST), "/a").map(|text| text.len()), Some(LARGEST - 7));
        assert_eq!(look(&large(LARGEST + 1), "/a"), Err(XmlError::Large));
        let attributes = |count: usize| {
            let all: String = (0..count).map(|number| format!(" a{number}='x'")).collect();
            format!("<a{all}/>")
        };
        assert_eq!(look(&attributes(MOST_ATTRIBUTES), "/a/@b"), Ok(None));
        assert_eq!(look(&attributes(50_000), "/a/@b"), Err(XmlError::Attributes));
    }

    proptest! {
        #[test]
        fn any_text_is_found_again_however_it_is_written(value in "[ -~äß€]{1,40}") {
            let escaped = value.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;").replace(']', "&#93;");
            let numbers: String = value.chars().map(|letter| format!("&#{};", u32::from(letter))).collect();
            let expected = Some(value.trim().to_owned());
            for written in [escaped, numbers] {
                prop_assert_eq!(text(&format!("<a><b>{written}</b></a>"), "/a/b"), expected.clone());
                prop_assert_eq!(text(&format!("<a b=\"{written}\"/>"), "/a/@b"), expected.clone());
            }
        }

        #[test]
        fn any_bytes_are_taken(bytes in prop::collection::vec(any::<u8>(), 0..200), tags in "[<>/a&;!\\[\\]'= x-]{0,60}") {
            for path in ["/a", "/a/a/@x"] {
                let path = path.parse().expect("a path");
                let _whatever = find(&bytes, &path);
                let _whatever = find(tags.as_bytes(), &path);
            }
        }
    }
}
