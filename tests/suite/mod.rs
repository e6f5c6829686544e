mod agui_vectors;
mod architecture;
mod crashes;
mod http_contract;
mod runs;
mod state_in_runs;
mod store_contract;
mod store_durability;
