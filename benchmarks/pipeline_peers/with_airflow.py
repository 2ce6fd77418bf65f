"""The seven steps in Airflow 3: a DAG of TaskFlow functions, run by `dag.test()` on a migrated SQLite."""

import os
import subprocess
import sys

os.environ["AIRFLOW_HOME"] = os.getcwd()
os.environ.setdefault("AIRFLOW__CORE__LOAD_EXAMPLES", "False")
os.environ.setdefault("AIRFLOW__CORE__DAGS_FOLDER", os.path.join(os.getcwd(), "dags"))
os.environ.setdefault("AIRFLOW__LOGGING__LOGGING_LEVEL", "ERROR")
os.makedirs("dags", exist_ok=True)
with open("dags/seven.py", "w") as out:
    out.write(
        f"""
from datetime import datetime

from airflow.sdk import dag, task


@task
def load():
    return list(range(100))


@task
def prepare(table):
    return [2 * value for value in table]


@task
def train(table, alpha):
    return sum(table) * alpha


@task
def select(models):
    assert max(models) == 9900 * ({sys.argv[1]} - 1)


@dag(schedule=None, start_date=datetime(2026, 1, 1), catchup=False)
def seven():
    select(train.partial(table=prepare(load())).expand(alpha=list(range({sys.argv[1]}))))


found = seven()
"""
    )
command = os.path.join(os.path.dirname(sys.executable), "airflow")
if not os.path.exists("airflow.db"):
    subprocess.run([command, "db", "migrate"], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
done = subprocess.run([command, "dags", "test", "seven"], capture_output=True, text=True, check=False)
assert "state=success" in done.stdout + done.stderr or done.returncode == 0, done.stderr[-2000:]
