//! stub
use super::*;
pub struct ConfigError { pub path: String, pub message: String }
struct Echo;
#[async_trait]
impl Agent for Echo {
    fn descriptor(&self) -> Descriptor { Descriptor::default() }
    async fn run(&self, cx: RunContext) -> Result<RunOutcome, AgentError> {
        let text = cx.input().last_user_text();
        let id = cx.new_id();
        cx.emit(crate::agui::Event::text_start(id.as_str())).await?;
        for word in text.split(' ') {
            cx.emit(crate::agui::Event::text_content(id.as_str(), word)).await?;
            if text.starts_with("slow") { tokio::time::sleep(std::time::Duration::from_millis(200)).await; }
        }
        cx.emit(crate::agui::Event::text_end(id.as_str())).await?;
        let v = cx.patch_state(vec![crate::state::patch::Operation::Add { path: crate::state::pointer::Pointer::parse("/last").unwrap(), value: text.into() }]).await?;
        cx.say(&format!("version {v}")).await?;
        Ok(RunOutcome::default())
    }
}
pub fn build(_name: &str, _config: &serde_json::Value) -> Result<Box<dyn Agent>, ConfigError> { Ok(Box::new(Echo)) }
