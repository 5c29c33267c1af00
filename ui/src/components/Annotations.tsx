import { uiClasses } from './ui';

const kUrl = /(https?:\/\/[^\s<>"')\]]+)/;

// Annotations are free text; addresses in it become links.
export function Linked({ text }: { text: string }) {
  return (
    <>
      {text.split(kUrl).map((part, i) =>
        i % 2 === 1 ? (
          <a key={i} href={part} target="_blank" rel="noreferrer noopener">
            {part}
          </a>
        ) : (
          part
        ),
      )}
    </>
  );
}

export function Annotations({ annotations }: { annotations: Record<string, string> }) {
  return (
    <table className={uiClasses.table}>
      <tbody>
        {Object.entries(annotations).map(([name, text]) => (
          <tr key={name}>
            <th scope="row" style={{ width: 140 }}>
              {name}
            </th>
            <td style={{ whiteSpace: 'pre-wrap' }}>
              <Linked text={text} />
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
