import assert from 'node:assert/strict';
import { test } from 'node:test';

import { safeReturnTo } from '../return-to.mjs';

test('a path of this site is kept, with its query', () => {
  for (const path of ['/', '/transfer', '/account?tab=2&x=%2F', '/a%2fb', '/x?next=https://other.example/', '/a//b']) {
    assert.equal(safeReturnTo(path), path);
  }
});

test('what leads elsewhere becomes the account page', () => {
  const elsewhere = [
    '//other.example',
    '///other.example',
    '/\\other.example',
    '\\\\other.example',
    '/ok\\..\\other',
    '/\t/other.example',
    '/\n/other.example',
    '\t//other.example',
    ' /account',
    '/.//other.example',
    '/a/..//other.example',
    '/%2e//other.example',
    'https://other.example/',
    'https:/account',
    'javascript:alert(1)',
    'account',
    '?x=1',
    '/a\u0000b',
    '/a\u007fb',
    '/a\u0085b',
    '/' + 'a'.repeat(5000),
    '',
  ];
  for (const value of elsewhere) assert.equal(safeReturnTo(value), '/account', JSON.stringify(value));
});

test('no value, or more than one, is the account page', () => {
  assert.equal(safeReturnTo(undefined), '/account');
  assert.equal(safeReturnTo(['/a', '/b']), '/account');
});

test('what comes out fits in a header, and has no fragment', () => {
  assert.equal(safeReturnTo('/為替?q=円#top'), '/%E7%82%BA%E6%9B%BF?q=%E5%86%86');
  assert.equal(safeReturnTo('/a b\ud800'), '/a%20b%EF%BF%BD');
});

test('asked again, it gives the same', () => {
  for (const value of ['/a b', '/x/../y', '/為替', '/a?b=c d', '/a%zz']) {
    assert.equal(safeReturnTo(safeReturnTo(value)), safeReturnTo(value));
  }
});
