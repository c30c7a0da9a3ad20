import pytest

from search.trainer.environment import ALLOWED_VARIABLE, trainer_environment


@pytest.mark.parametrize(
    "name",
    [
        "FRCNN_STORAGE",
        "FRCNN_DASHBOARD_PASSWORD",
        "PGPASSWORD",
        "PGHOST",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AZURE_STORAGE_KEY",
        "GOOGLE_APPLICATION_CREDENTIALS",
        "HF_TOKEN",
        "WANDB_API_KEY",
        "GITHUB_TOKEN",
        "MY_DATABASE_URL",
        "SLURM_JWT_TOKEN",
        "smtp_password",
        "OPENAI_API_KEY",
        "KUBECONFIG",
        "SSH_AUTH_SOCK",
    ],
)
def test_what_looks_like_a_secret_reaches_no_trainer_unless_it_is_named(name):
    assert trainer_environment({name: "x", "HOME": "/home/anna"}) == {"HOME": "/home/anna"}
    named = {name: "x", ALLOWED_VARIABLE: f"OTHER, {name}"}
    assert trainer_environment(named) == named


@pytest.mark.parametrize(
    "name",
    [
        "PATH", "HOME", "LANG", "TMPDIR", "PYTHONPATH", "LD_LIBRARY_PATH", "LD_PRELOAD", "VIRTUAL_ENV", "CONDA_PREFIX",
        "CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES", "XLA_FLAGS", "XLA_PYTHON_CLIENT_MEM_FRACTION",
        "KERAS_BACKEND", "KERAS_HOME", "TF_FORCE_GPU_ALLOW_GROWTH", "TF_CPP_MIN_LOG_LEVEL", "JAX_PLATFORMS",
        "OMP_NUM_THREADS", "SLURM_JOB_ID", "FRCNN_CACHE", "FRCNN_ANALYTIC_STEP_S", "FRCNN_DATA_ROOT",
        "HTTPS_PROXY", "MONKEY", "KEYBOARD",
    ],
)  # fmt: skip
def test_what_a_trainer_works_with_reaches_it(name):
    assert trainer_environment({name: "x"}) == {name: "x"}


def test_what_holds_the_studys_credentials_is_withheld_whatever_it_is_called():
    assert trainer_environment({"OURS": "postgresql://a:b@c/d"}, withheld=("OURS",)) == {}
    allowed = {ALLOWED_VARIABLE: "OURS"}
    assert trainer_environment({"OURS": "x", **allowed}, withheld=("OURS",)) == allowed
