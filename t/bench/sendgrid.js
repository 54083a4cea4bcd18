/*
 * The handler of a webhook for njs.
 */

import mapping from 'mapping.js';


function answer(r, status, text) {
    r.headersOut['Content-Type'] = 'application/json';
    r.return(status, text);
}


async function handle(r) {
    const key = mapping.authorize(r.headersIn.Authorization);

    if (key === null) {
        answer(r, 401, '{"error":"unauthorized"}\n');
        return;
    }

    let webhook;

    try {
        webhook = mapping.convert(key, r.requestText);

    } catch (e) {
        answer(r, 400, '{"error":"invalid_json"}\n');
        return;
    }

    const answers = await Promise.all(webhook.batches.map(body =>
        r.subrequest('/amplitude/us', { method: 'POST', body: body })));

    if (answers.some(reply => reply.status !== 200)) {
        answer(r, 503, '{"error":"unavailable"}\n');
        return;
    }

    answer(r, 200, JSON.stringify(webhook.summary) + '\n');
}


export default { handle };
