/** What people wrote of a run, in Markdown; kept in the tag in which MLflow keeps its description. */
import { useSignal } from "@preact/signals";
import type { Run } from "../api-types";
import { ProblemError, setRunTag } from "../api/client";
import { ProblemView } from "../design/problem";
import { Card, Empty } from "../design/page";
import { Markdown } from "../text/markdown";
import type { Problem } from "../api-types";

export const NOTE = "mlflow.note.content";

export function Notes(props: { run: Run }) {
  const saved = useSignal<string | null>(null);
  const note = saved.value ?? props.run.tags[NOTE] ?? "";
  const draft = useSignal<string | null>(null);
  const problem = useSignal<Problem | null>(null);
  const saving = useSignal(false);
  const save = async () => {
    saving.value = true;
    try {
      await setRunTag(props.run.id, NOTE, draft.value ?? "");
      saved.value = draft.value;
      draft.value = null;
      problem.value = null;
    } catch (failure) {
      if (!(failure instanceof ProblemError)) throw failure;
      problem.value = failure.problem;
    } finally {
      saving.value = false;
    }
  };
  if (draft.value !== null)
    return (
      <Card title="Notes">
        {problem.value && <ProblemView problem={problem.value} />}
        <div class="halves">
          <textarea
            class="input mono run-note"
            aria-label="Notes, in Markdown"
            rows={14}
            value={draft.value}
            onInput={(change) => (draft.value = change.currentTarget.value)}
          />
          <div aria-label="How it will look">{draft.value.trim() ? <Markdown text={draft.value} /> : <p class="quiet">Write in Markdown.</p>}</div>
        </div>
        <p class="run-buttons">
          <button type="button" class="button button-main" disabled={saving.value} onClick={() => void save()}>
            Save
          </button>
          <button type="button" class="button" onClick={() => (draft.value = null)}>
            Leave as it was
          </button>
        </p>
      </Card>
    );
  const edit = (
    <button type="button" class="button" onClick={() => (draft.value = note)}>
      {note ? "Edit" : "Write a note"}
    </button>
  );
  if (!note) return <Empty title="No notes">{edit}</Empty>;
  return (
    <Card title="Notes" aside={edit}>
      <Markdown text={note} />
    </Card>
  );
}
