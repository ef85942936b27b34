"""`python -m serving.gateway`: one gateway process, with the settings of its environment."""

import uvicorn

from serving.gateway.app import create_app
from serving.gateway.settings import GatewaySettings
from serving.operations import end_well, log_json, spare_what_started
from serving.tracing import send_spans

if __name__ == "__main__":
    end_well()
    log_json()
    send_spans("pedigree-gateway")
    settings, app = GatewaySettings(), create_app()
    spare_what_started()
    uvicorn.run(
        app,
        host=settings.host,
        port=settings.port,
        backlog=16_384,
        access_log=False,
        log_level="warning",
        server_header=False,
        timeout_keep_alive=75,  # longer than clients and load balancers keep a connection that nobody uses
        timeout_graceful_shutdown=10,
    )
