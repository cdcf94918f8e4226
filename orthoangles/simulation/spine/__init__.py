"""AP radiographs of the spine, drawn or projected from bones."""
