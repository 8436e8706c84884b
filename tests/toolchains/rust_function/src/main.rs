use std::{env, time::Duration};

use lambda_runtime::{
    run, service_fn, streaming::channel, Error, LambdaEvent, MetadataPrelude, StreamResponse,
};
use lambda_runtime_api_client::Error as StreamError;
use serde_json::{json, Value};

fn path_of(event: &LambdaEvent<Value>) -> String {
    event.payload["rawPath"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

async fn stream(
    event: LambdaEvent<Value>,
) -> Result<StreamResponse<lambda_runtime::streaming::Body>, Error> {
    let path = path_of(&event);
    if path == "/early" {
        return Err("before the response".into());
    }
    let (mut sender, body) = channel();
    let fails = path == "/throw";
    tokio::spawn(async move {
        let _ = sender.send_data("one ".into()).await;
        tokio::time::sleep(Duration::from_millis(200)).await;
        if fails {
            sender.send_error(StreamError::new("amid the response"));
        } else {
            let _ = sender.send_data("two".into()).await;
        }
    });
    let metadata_prelude: MetadataPrelude = serde_json::from_value(
        json!({"statusCode": 202, "headers": {"x-path": path}, "cookies": ["a=1", "b=2"]}),
    )?;
    Ok(StreamResponse {
        metadata_prelude,
        stream: body,
    })
}

async fn whole(event: LambdaEvent<Value>) -> Result<Value, Error> {
    Ok(json!({"statusCode": 201, "body": path_of(&event)}))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    match env::var("_HANDLER").as_deref() {
        Ok("whole") => run(service_fn(whole)).await,
        _ => run(service_fn(stream)).await,
    }
}
