// The fields of the limits form: the value in force, who set it, and until when.

import { fieldTitle, ownerText } from "../eventtext";
import { duration, limit, unix } from "../format";
import { FIELDS } from "../limitwish";
import { now } from "../store";
import { typedForm } from "../units";
import type { LimitField, LimitsDocument } from "../wire";

interface FieldsProps {
  document: LimitsDocument;
  typed: Record<string, string>;
  problems: Record<string, string>;
  onType: (field: string, text: string) => void;
}

export function Fields({ document, typed, problems, onType }: FieldsProps) {
  const offered = Object.keys(FIELDS).filter(
    (field) => document.fields[field] && document.fields[field].value !== null,
  );
  return (
    <div class="fields">
      {offered.map((field, i) => {
        const known = document.fields[field] as LimitField;
        return (
          <div class="field" key={field}>
            <label for={`limit-${field}`}>{fieldTitle(field)}</label>
            <div>
              <input
                id={`limit-${field}`}
                name={field}
                autocomplete="off"
                spellcheck={false}
                placeholder={FIELDS[field]}
                autofocus={i === 0}
                aria-invalid={field in problems}
                aria-describedby={`about-${field}`}
                value={typed[field] ?? typedForm(field, known.value)}
                onInput={(event) => onType(field, event.currentTarget.value)}
              />
              <small id={`about-${field}`} class={field in problems ? "bad" : "muted"}>
                {problems[field] ?? aboutField(field, known)}
              </small>
            </div>
          </div>
        );
      })}
    </div>
  );
}

function aboutField(field: string, known: LimitField): string {
  const parts = [known.owner ? `set by ${ownerText(known.owner)}` : "no owner"];
  if (known.baseline != null && known.baseline !== known.value)
    parts.push(`was ${limit(field, known.baseline)}`);
  const ends = unix(known.expires_at);
  if (ends !== null) parts.push(`ends in ${duration(ends - now.value)}`);
  return parts.join(" · ");
}
