//! `http`.

use super::Answer;
use crate::bindings::convert::capability::error_to_wit;
use crate::bindings::v0_1::bulkhead::host::http::{
    Header as WitHeader, Host, Response as WitResponse, StreamOutcome as WitStreamOutcome,
};
use crate::bindings::v0_1::bulkhead::host::types::{Path as WitPath, Slot as WitSlot};
use crate::state::State;
use bulkhead_capability::http::{HttpResponse, StreamOutcome};

impl Host for State {
    async fn send(&mut self, template: String, slots: Vec<WitSlot>) -> Answer<WitResponse> {
        let slots = self.slots("http.send", &template, slots).await?;
        self.call.http().send(&template, &slots).await.map(response_to_wit).map_err(error_to_wit)
    }

    async fn upload(
        &mut self,
        template: String,
        slots: Vec<WitSlot>,
        source: WitPath,
    ) -> Answer<WitStreamOutcome> {
        let slots = self.slots("http.upload", &template, slots).await?;
        let source = self.path("http.upload", source).await?;
        self.call.http().upload(&template, &slots, &source).await.map(outcome_to_wit).map_err(error_to_wit)
    }

    async fn download(
        &mut self,
        template: String,
        slots: Vec<WitSlot>,
        destination: WitPath,
    ) -> Answer<WitStreamOutcome> {
        let slots = self.slots("http.download", &template, slots).await?;
        let destination = self.path("http.download", destination).await?;
        self.call
            .http()
            .download(&template, &slots, &destination)
            .await
            .map(outcome_to_wit)
            .map_err(error_to_wit)
    }
}

fn response_to_wit(response: HttpResponse) -> WitResponse {
    let headers = response.headers.into_iter();
    WitResponse {
        status: response.status,
        headers: headers.map(|(name, value)| WitHeader { name, value }).collect(),
        body: response.body,
        truncated: response.truncated,
        controller: response.controller,
        retry_after_ms: response.retry_after_ms,
        duration_ms: response.duration_ms,
    }
}

const fn outcome_to_wit(outcome: StreamOutcome) -> WitStreamOutcome {
    WitStreamOutcome {
        status: outcome.status,
        bytes_done: outcome.bytes_done,
        duration_ms: outcome.duration_ms,
    }
}
