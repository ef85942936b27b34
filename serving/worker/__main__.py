"""`python -m serving.worker`: one worker process, with the settings of its environment."""

import uvicorn

from serving.operations import end_well, log_json, spare_what_started
from serving.tracing import send_spans
from serving.worker.app import create_app
from serving.worker.settings import WorkerSettings

if __name__ == "__main__":
    end_well()
    log_json()
    send_spans("pedigree-worker")
    settings, app = WorkerSettings(), create_app()
    spare_what_started()
    uvicorn.run(app, host=settings.host, port=settings.port, access_log=False, log_level="warning")
