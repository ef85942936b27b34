import subprocess
import sys
from pathlib import Path

TRAIN = """
import sys
from pathlib import Path
import torch
torch.rand(int(sys.argv[3]))  # what ran before in the process must not matter
torch.set_num_threads(int(sys.argv[3]))
from assets.training.finetune import finetune
from governance.tenants import Training
from training_toys import sentences
labels = ("card", "loan", "app")
training = Training(epochs=1, batch_size=8, max_tokens=16)
finetune(Path(sys.argv[1]), sentences(40, 1, labels), sentences(8, 2, labels), training, Path(sys.argv[2]))
"""


def test_two_processes_write_the_same_bytes(minilm: Path, tmp_path: Path) -> None:
    root = Path(__file__).parents[3]
    path = f"{root}:{Path(__file__).parent}"
    for name, threads in (("first", "1"), ("second", "2")):
        command = [sys.executable, "-c", TRAIN, str(minilm), str(tmp_path / name), threads]
        done = subprocess.run(command, env={"PYTHONPATH": path}, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    first, second = ({f.name: f.read_bytes() for f in (tmp_path / name).iterdir()} for name in ("first", "second"))
    assert set(first) == {"adapter_config.json", "adapter_model.safetensors", "head.json", "head.safetensors"}
    assert first == second
