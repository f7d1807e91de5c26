//! Files that go to an endpoint, and come from one.

use crate::lab::{Lab, code};
use bulkhead_capability::http::ExchangeError;
use bulkhead_capability::http::fake::answer;
use bulkhead_capability::slot::Path;
use bulkhead_model::error::CapabilityCode;

fn image() -> Path {
    Path { root: "images".to_owned(), pattern: "{share}.img".to_owned(), of: None }
}

impl Lab {
    fn file(&self) -> std::path::PathBuf {
        self.directory.path().join("images").join(format!("share-{}.img", self.share))
    }

    fn names(&self) -> usize {
        std::fs::read_dir(self.directory.path().join("images")).expect("a root").count()
    }
}

#[tokio::test]
async fn a_file_comes_in_whole_and_goes_out_as_it_is() {
    let lab = Lab::new().await;
    let content = vec![7_u8; 700_000];
    lab.fake.answer(Ok(answer(200, content.clone())));
    let moved = lab.call().http().download("fetch-image", &lab.volume(), &image()).await.expect("moved");
    assert_eq!((moved.status, moved.bytes_done), (200, 700_000));
    assert_eq!(std::fs::read(lab.file()).expect("a file"), content);
    let moved = lab.call().http().upload("send-image", &lab.volume(), &image()).await.expect("moved");
    assert_eq!(moved.bytes_done, 700_000);
    assert_eq!(lab.fake.sent()[1].body, content);
}

#[tokio::test]
async fn an_answer_that_is_no_success_leaves_nothing_behind() {
    let lab = Lab::new().await;
    lab.fake.answer(Ok(answer(404, "no such image")));
    let moved = lab.call().http().download("fetch-image", &lab.volume(), &image()).await.expect("an answer");
    assert_eq!((moved.status, moved.bytes_done, lab.names()), (404, 0, 0));
    lab.fake.answer(Err(ExchangeError::Lost { reason: "cut".to_owned() }));
    let lost = lab.call().http().download("fetch-image", &lab.volume(), &image()).await;
    assert_eq!((code(lost), lab.names()), (CapabilityCode::OutcomeUnknown, 0));
}

#[tokio::test]
async fn a_failed_download_leaves_the_file_that_was_there() {
    let lab = Lab::new().await;
    lab.fake.answer(Ok(answer(200, "first")));
    lab.call().http().download("fetch-image", &lab.volume(), &image()).await.expect("moved");
    lab.fake.answer(Err(ExchangeError::Lost { reason: "cut".to_owned() }));
    assert!(lab.call().http().download("fetch-image", &lab.volume(), &image()).await.is_err());
    assert_eq!((std::fs::read(lab.file()).expect("a file"), lab.names()), (b"first".to_vec(), 1));
    lab.fake.answer(Ok(answer(200, "second")));
    lab.call().http().download("fetch-image", &lab.volume(), &image()).await.expect("moved");
    assert_eq!(std::fs::read(lab.file()).expect("a file"), b"second");
}

#[tokio::test]
async fn what_nobody_recorded_is_neither_sent_nor_replaced() {
    let lab = Lab::new().await;
    assert_eq!(
        code(lab.call().http().upload("send-image", &lab.volume(), &image()).await),
        CapabilityCode::NotOwned
    );
    std::fs::write(lab.file(), "somebody's").expect("a file");
    assert_eq!(
        code(lab.call().http().upload("send-image", &lab.volume(), &image()).await),
        CapabilityCode::NotOwned
    );
    let over = lab.call().http().download("fetch-image", &lab.volume(), &image()).await;
    assert_eq!(code(over), CapabilityCode::NotOwned);
    assert_eq!(std::fs::read(lab.file()).expect("a file"), b"somebody's");
    assert!(lab.fake.sent().is_empty());
}
