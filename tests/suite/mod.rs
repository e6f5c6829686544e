mod architecture;
mod crashes;
mod http_contract;
mod runs;
mod state_in_runs;
